package client

import (
	"context"
	"net/http"
	"net/url"
)

// StoredMedia is a file that was uploaded to be sent.
type StoredMedia struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	MIME string `json:"mime"`
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// UploadMedia stores a file to send. kind is what it is sent as; empty: what suits it.
func (c *Client) UploadMedia(ctx context.Context, kind string, file File) (StoredMedia, error) {
	var stored StoredMedia
	err := c.upload(ctx, "/v1/media", [][2]string{{"kind", kind}}, file, &stored)
	return stored, err
}

// Media gives what is known of a stored file.
func (c *Client) Media(ctx context.Context, id string) (StoredMedia, error) {
	var found StoredMedia
	err := c.call(ctx, http.MethodGet, "/v1/media/"+url.PathEscape(id), nil, &found)
	return found, err
}
