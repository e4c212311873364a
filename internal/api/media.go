package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/guard"
)

// MediaView is a stored file.
type MediaView struct {
	ID        string             `json:"id"`
	Kind      campaign.MediaKind `json:"kind" enum:"image,video,audio,document"`
	MIME      string             `json:"mime"`
	Name      string             `json:"name,omitempty"`
	Size      int64              `json:"size"`
	SHA256    string             `json:"sha256"`
	UserID    string             `json:"user_id,omitempty" doc:"The user of the key that brought it, when that key is for one user: others do not see it."`
	CreatedAt time.Time          `json:"created_at"`
}

type mediaOutput struct{ Body MediaView }

// MediaForm is the multipart form of a file. It is exported because huma reads embedded structs only then.
type MediaForm struct {
	File huma.FormFile      `form:"file" contentType:"application/octet-stream" required:"true" doc:"The file."`
	Kind campaign.MediaKind `form:"kind" required:"false" enum:"image,video,audio,document" doc:"What it is sent as; what suits it, when it is left out."`
}

type uploadMediaInput struct {
	RawBody huma.MultipartFormFiles[MediaForm]
}

func (a *API) uploadMedia(ctx context.Context, input *uploadMediaInput) (*mediaOutput, error) {
	defer func() { _ = input.RawBody.Form.RemoveAll() }() // a temporary file that stays is the system's to clean
	form := input.RawBody.Data()
	added, err := a.library().Add(ctx, campaign.NewMedia{Name: form.File.Filename, Kind: form.Kind, At: a.now()}, form.File)
	if err != nil {
		return nil, a.problem(ctx, "store media", err)
	}
	return &mediaOutput{Body: MediaView(added)}, nil
}

type fetchMediaInput struct {
	Body struct {
		URL  string             `json:"url" maxLength:"2000" format:"uri" doc:"Where the file is: https or http, on a public address."`
		Kind campaign.MediaKind `json:"kind,omitempty" enum:"image,video,audio,document" doc:"What it is sent as; what suits it, when it is left out."`
		Name string             `json:"name,omitempty" maxLength:"200" doc:"What it is called; the end of its address, when it is left out."`
	}
}

const (
	fetchTimeout  = 30 * time.Second
	mostRedirects = 3
)

func (a *API) fetchMedia(ctx context.Context, input *fetchMediaInput) (*mediaOutput, error) {
	wanted := campaign.NewMedia{Name: input.Body.Name, Kind: input.Body.Kind, At: a.now()}
	added, err := a.fetch(ctx, input.Body.URL, wanted)
	if err != nil {
		return nil, a.problem(ctx, "fetch media", err)
	}
	return &mediaOutput{Body: MediaView(added)}, nil
}

func (a *API) fetch(ctx context.Context, address string, wanted campaign.NewMedia) (added campaign.Media, err error) {
	from, err := url.Parse(address)
	if err != nil || (from.Scheme != "https" && from.Scheme != "http") || from.Host == "" || from.User != nil {
		return added, notFetched("media_url_invalid", "The address must begin with https:// or http://, and have no password")
	}
	if wanted.Name == "" {
		wanted.Name = path.Base(from.Path)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		return added, notFetched("media_url_invalid", "The address is none that can be asked")
	}
	response, err := a.fetcher.Do(request)
	switch {
	case guard.IsForbidden(err):
		return added, notFetched("media_url_forbidden", "The address is not a public one; upload the file instead")
	case err != nil:
		return added, notFetched("media_url_unreachable", "Nothing answers there, or not in time; check the address, or upload the file instead")
	}
	defer func() { _ = response.Body.Close() }() // what was read stands
	if response.StatusCode != http.StatusOK {
		return added, notFetched("media_url_status", fmt.Sprintf("The address answers with the status %d instead of a file", response.StatusCode))
	}
	if response.ContentLength > campaign.MaxMediaBytes {
		return added, fault.New(fault.TooLarge, "media_too_large", "The file is larger than WhatsApp takes; choose a smaller one")
	}
	return a.library().Add(ctx, wanted, io.LimitReader(response.Body, campaign.MaxMediaBytes+1))
}

// notFetched says what is wrong with an address, without repeating it: it may hold a secret.
func notFetched(code, message string) error {
	return fault.New(fault.Invalid, code, message).WithDetails(fault.Detail{Location: "url", Reason: message})
}

// MediaInput names a file in the path. It is exported because huma reads embedded structs only then.
type MediaInput struct {
	ID string `path:"id" maxLength:"100" pattern:"^[!-~]+$" patternDescription:"visible ASCII" doc:"The file's id."`
}

func (a *API) getMedia(ctx context.Context, input *MediaInput) (*mediaOutput, error) {
	found, err := a.library().Get(ctx, input.ID)
	if err != nil {
		return nil, a.problem(ctx, "get media", err)
	}
	return &mediaOutput{Body: MediaView(found)}, nil
}

func (a *API) deleteMedia(ctx context.Context, input *MediaInput) (*struct{}, error) {
	if err := a.library().Remove(ctx, input.ID); err != nil {
		return nil, a.problem(ctx, "delete media", err)
	}
	return nil, nil //nolint:nilnil // huma's answer without a body
}

// registerMedia lists the routes of files.
func (a *API) registerMedia(doors huma.API) {
	huma.Register(doors, a.upload("/v1/media", "upload-media", "Upload a file to send", http.StatusCreated), a.uploadMedia)
	huma.Register(doors, operation(http.MethodPost, "/v1/media/fetch", "fetch-media", "Take a file from an address on the web", http.StatusCreated), a.fetchMedia)
	huma.Register(doors, operation(http.MethodGet, "/v1/media/{id}", "get-media", "Get what is known of a file", http.StatusOK), a.getMedia)
	huma.Register(doors, operation(http.MethodDelete, "/v1/media/{id}", "delete-media", "Delete a file", http.StatusNoContent), a.deleteMedia)
}
