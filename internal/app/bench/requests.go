package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
)

// bareHandler is a handler of net/http that reads or writes the same row of the same database and does nothing else.
const bareHandler = "bare_http"

// request is what a client asks again and again.
type request struct {
	method, path string
	// body gives that of the nth request; nil: there is none.
	body func(n int64) any
}

// apiRate measures how many requests are answered in a second, and the time that 99 of 100 do not exceed, by some numbers of clients at once that each ask
// as soon as they were answered. A read is a session, a write one number that is not written to any more: a row each, on the disk when it is answered.
func apiRate(ctx context.Context, s sizes, directory string) (rows []Row, err error) {
	p, err := startProduct(ctx, productOptions{directory: filepath.Join(directory, "product")})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	created, err := p.api.CreateSession(ctx, "bench", "The session that is read")
	if err != nil {
		return nil, err
	}
	bare, err := startBareAPI(ctx, filepath.Join(directory, "bare.db"), session.ID(created.ID))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	written := func(n int64) any {
		return map[string]any{"phones": []string{recipient(int(n % 10_000_000))}, "source": "bench"}
	}
	for _, asked := range []struct {
		name string
		request
	}{
		{"reads", request{http.MethodGet, "/v1/sessions/" + created.ID, nil}},
		{"writes", request{http.MethodPost, "/v1/suppressions", written}},
	} {
		for _, clients := range s.clients {
			name := fmt.Sprintf("%s_%d", asked.name, clients)
			ask := func(address string) func(context.Context, int) ([]float64, error) {
				return func(ctx context.Context, _ int) ([]float64, error) {
					return p.hammer(ctx, address, asked.request, clients, s.requestTime)
				}
			}
			c := comparison{rounds: s.rounds, numbers: []number{{name, "requests/s", nil}, {name + "_p99", "ms", nil}},
				sides: []side{{"product", ask(p.app.URL())}, {bareHandler, ask(bare.address)}}}
			found, err := c.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			rows = append(rows, found...)
		}
	}
	return rows, nil
}

// hammer asks for a while, by several clients at once, and gives the requests a second and the p99.
func (p *product) hammer(ctx context.Context, address string, asked request, clients int, lasting time.Duration) ([]float64, error) {
	var (
		next   atomic.Int64
		mu     sync.Mutex
		times  []time.Duration
		failed error
		group  sync.WaitGroup
	)
	next.Store(time.Now().UnixNano()) // a number that was not written in another round
	began := time.Now()
	for range clients {
		group.Go(func() {
			var own []time.Duration
			var err error
			for err == nil && time.Since(began) < lasting {
				asking := time.Now()
				err = p.ask(ctx, address, asked, next.Add(1))
				own = append(own, time.Since(asking))
			}
			mu.Lock()
			defer mu.Unlock()
			times, failed = append(times, own...), errors.Join(failed, err)
		})
	}
	group.Wait()
	return []float64{float64(len(times)) / time.Since(began).Seconds(), percentile(times, 99)}, failed
}

func (p *product) ask(ctx context.Context, address string, asked request, n int64) error {
	var body io.Reader
	if asked.body != nil {
		encoded, err := json.Marshal(asked.body(n))
		if err != nil {
			return fmt.Errorf("encode a request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	wanted, err := http.NewRequestWithContext(ctx, asked.method, address+asked.path, body)
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	wanted.Header.Set("Authorization", "Bearer "+p.key)
	if body != nil {
		wanted.Header.Set("Content-Type", "application/json")
	}
	answer, err := p.http.Do(wanted)
	if err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s was answered with %s", asked.method, asked.path, answer.Status)
	}
	return nil
}

// bareAPI answers the same requests without us.
type bareAPI struct {
	address string
	stop    func() error
}

func startBareAPI(ctx context.Context, path string, id session.ID) (*bareAPI, error) {
	database, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err != nil {
		return nil, err
	}
	err = database.Sessions().Create(ctx, session.Session{ID: id, UserID: "bench", Name: "The session that is read", State: session.New,
		CreatedAt: time.Now().UTC(), UpdatedAt: time.Now().UTC()})
	var listen net.ListenConfig
	var listener net.Listener
	if err == nil {
		listener, err = listen.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, errors.Join(err, database.Close())
	}
	server := &http.Server{Handler: bareRoutes(database), ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	return &bareAPI{address: "http://" + listener.Addr().String(), stop: func() error {
		err := server.Close()
		served := <-ended
		if errors.Is(served, http.ErrServerClosed) {
			served = nil
		}
		return errors.Join(err, served, database.Close())
	}}, nil
}

func bareRoutes(database *sqlite.DB) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/sessions/{id}", func(w http.ResponseWriter, r *http.Request) {
		found, err := database.Sessions().Get(r.Context(), session.ID(r.PathValue("id")))
		answerBare(w, found, err)
	})
	mux.HandleFunc("POST /v1/suppressions", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Phones []string `json:"phones"`
			Source string   `json:"source"`
		}
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&body)
		if err == nil && len(body.Phones) == 1 {
			err = database.Suppressions().Add(r.Context(), []campaign.Suppression{{Phone: body.Phones[0], Reason: "opt_out", Source: body.Source, CreatedAt: time.Now().UTC()}})
		}
		answerBare(w, struct{}{}, err)
	})
	return mux
}

func answerBare(w http.ResponseWriter, body any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // the client is gone
}
