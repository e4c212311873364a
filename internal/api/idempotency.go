package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// A POST with an Idempotency-Key has its effect once. A client that lost the answer repeats the request, byte for byte or as a form with another boundary,
// and gets the same answer, marked with Idempotency-Replayed. A request that was refused gives its key back: what is corrected may use it again.
const (
	headerKey      = "Idempotency-Key"
	headerReplayed = "Idempotency-Replayed"
	maxKeyLength   = 200
	// maxSavedAnswer is the largest answer that is kept; ours are far smaller.
	maxSavedAnswer = 512 << 10
	// spoolInMemory is how much of a body is kept in memory while its fingerprint is made; the rest goes to the disk.
	spoolInMemory = 1 << 20
	// neverKept marks an answer with a secret in it (Cache-Control, RFC 9111 §5.2.2.5). Its handler makes sure that a repeated request does no harm.
	neverKept = "no-store"
)

// contextKey names what this package puts into contexts.
type contextKey string

const keyOfRequest contextKey = "idempotency key"

func (a *API) idempotent(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get(headerKey)
		if r.Method != http.MethodPost || key == "" {
			next.ServeHTTP(w, r)
			return
		}
		if len(key) > maxKeyLength || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
			writeProblem(w, a.problem(r.Context(), "read the idempotency key", fault.New(fault.Invalid, "bad_idempotency_key",
				fmt.Sprintf("An Idempotency-Key has 1 to %d visible ASCII characters and no spaces", maxKeyLength))))
			return
		}
		a.serveOnce(w, r, "api\x00"+access.From(r.Context()).Key+"\x00"+key, next) // nobody is answered with what another key asked for
	})
}

// serveOnce lets a request have its effect unless it had it before.
func (a *API) serveOnce(w http.ResponseWriter, r *http.Request, key string, next http.Handler) {
	body, err := spool(r.Body)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			err = fault.New(fault.TooLarge, "upload_too_large", fmt.Sprintf("The body is larger than %d bytes", tooLarge.Limit))
		}
		writeProblem(w, a.problem(r.Context(), "read a body", err))
		return
	}
	defer body.remove()
	mark, err := fingerprint(r, body)
	var saved *store.Saved
	if err == nil {
		saved, err = a.options.Idempotency.Begin(r.Context(), key, mark, a.now().UTC())
	}
	if err != nil {
		writeProblem(w, a.problem(r.Context(), "begin an idempotent request", err))
		return
	}
	if saved != nil {
		w.Header().Set("Content-Type", saved.ContentType)
		w.Header().Set(headerReplayed, "true")
		w.WriteHeader(saved.Status)
		_, _ = w.Write(saved.Body) // #nosec G705 -- our own answer, with its type; a client that left cannot be told
		return
	}
	r.Body = io.NopCloser(body.reader())
	answer := &answerRecorder{ResponseWriter: w, status: http.StatusOK}
	defer a.endOnce(r.Context(), key, answer)
	next.ServeHTTP(answer, r.WithContext(context.WithValue(r.Context(), keyOfRequest, digestOf(key))))
	answer.served = true
}

// endOnce keeps the answer of a request that had its effect, and gives the key of another one back. It outlives the client.
func (a *API) endOnce(ctx context.Context, key string, answer *answerRecorder) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTimeout)
	defer cancel()
	var err error
	kept := !answer.overflown && answer.Header().Get("Cache-Control") != neverKept
	if answer.served && answer.status < http.StatusMultipleChoices && kept {
		err = a.options.Idempotency.Finish(ctx, key, store.Saved{Status: answer.status, ContentType: answer.Header().Get("Content-Type"), Body: answer.body.Bytes()})
	} else {
		err = a.options.Idempotency.Release(ctx, key)
	}
	if err != nil {
		_ = a.problem(ctx, "end an idempotent request", err) // it logs
	}
}

// answerRecorder keeps what is answered.
type answerRecorder struct {
	http.ResponseWriter
	status    int
	body      bytes.Buffer
	overflown bool
	// served: the handler returned, and did not panic.
	served bool
}

func (r *answerRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *answerRecorder) Write(data []byte) (int, error) {
	if r.overflown = r.overflown || r.body.Len()+len(data) > maxSavedAnswer; !r.overflown {
		r.body.Write(data)
	}
	return r.ResponseWriter.Write(data)
}

// spooled is a body that can be read again.
type spooled struct {
	head []byte
	rest *os.File
}

func spool(body io.Reader) (*spooled, error) {
	head, err := io.ReadAll(io.LimitReader(body, spoolInMemory))
	if err != nil {
		return nil, err
	}
	kept := &spooled{head: head}
	if len(head) < spoolInMemory {
		return kept, nil
	}
	if kept.rest, err = os.CreateTemp("", "broadcaster-body-*"); err != nil {
		return nil, fmt.Errorf("keep a body: %w", err)
	}
	if _, err := io.Copy(kept.rest, body); err != nil {
		kept.remove()
		return nil, err
	}
	return kept, nil
}

func (s *spooled) reader() io.Reader {
	if s.rest == nil {
		return bytes.NewReader(s.head)
	}
	return io.MultiReader(bytes.NewReader(s.head), io.NewSectionReader(s.rest, 0, 1<<62))
}

func (s *spooled) remove() {
	if s.rest != nil {
		_ = s.rest.Close()
		_ = os.Remove(s.rest.Name()) // one that stays is the system's to clean
	}
}

// fingerprint is a digest of what makes a request what it is. Of a form it is that of its parts: the boundary is made anew by each client.
func fingerprint(r *http.Request, body *spooled) (string, error) {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "%s\x00%s\x00", r.Method, r.URL.RequestURI())
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "multipart/form-data" && params["boundary"] != "" && hashParts(sum, multipart.NewReader(body.reader(), params["boundary"])) == nil {
		return hex.EncodeToString(sum.Sum(nil)), nil
	}
	if _, err := io.Copy(sum, body.reader()); err != nil {
		return "", fmt.Errorf("read a body again: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func hashParts(sum hash.Hash, form *multipart.Reader) error {
	for {
		part, err := form.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(sum, "\x00part %q %q\x00", part.FormName(), part.FileName())
		if _, err := io.Copy(sum, part); err != nil {
			return err
		}
	}
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

const keyedFolder = "keyed"

// nameFor gives the id of what a request creates. Under an idempotency key it is the same whenever the request is repeated, also by a client whose server
// died before it answered: what was begun is then finished under that id, and not begun a second time.
func (a *API) nameFor(ctx context.Context, fresh campaign.ID) (id campaign.ID, repeated bool, err error) {
	key, keyed := ctx.Value(keyOfRequest).(string)
	if !keyed {
		return fresh, false, nil
	}
	written := store.Document{ID: key, Data: []byte(fresh), ExpiresAt: a.now().Add(keyedAge)}
	err = a.options.Documents.Create(ctx, keyedFolder, written)
	if !errors.Is(err, store.ErrConflict) {
		return fresh, false, err
	}
	known, err := a.options.Documents.Among(ctx, keyedFolder, []string{key})
	if err != nil || len(known) == 0 {
		return fresh, false, err
	}
	id = campaign.ID(known[0].Data)
	switch state, err := a.options.Campaigns.State(ctx, id); {
	case err == nil && state != campaign.Failed:
		return id, true, nil
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return fresh, false, err
	}
	return fresh, false, a.options.Documents.Put(ctx, keyedFolder, []store.Document{written})
}

// keyedAge is how long a key names what it created.
const keyedAge = 24 * time.Hour
