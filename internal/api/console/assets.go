package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

// asset is a file that pages load, under a name that changes with its content: a browser may keep it for ever.
type asset struct {
	name        string
	contentType string
	plain       []byte
	packed      []byte
}

// assets serves the files that pages load.
type assets struct {
	// byName has them by the name in an address, hashed has that name by the file's own.
	byName map[string]asset
	hashed map[string]string
	icons  map[string]template.HTML
}

// loaded finds what a script imports and what a style refers to: names of other assets.
var loaded = regexp.MustCompile(`(from "\./|import "\./|url\("\./)([a-z-]+\.(?:js|css|svg))"`)

func buildAssets(files fs.FS) (*assets, error) {
	made := &assets{byName: map[string]asset{}, hashed: map[string]string{}, icons: map[string]template.HTML{}}
	names, err := fs.Glob(files, "assets/*.*")
	if err != nil {
		return nil, fmt.Errorf("console: find assets: %w", err)
	}
	for _, name := range names {
		if _, err := made.add(files, path.Base(name), nil); err != nil {
			return nil, err
		}
	}
	icons, err := fs.Glob(files, "assets/icons/*.svg")
	if err != nil {
		return nil, fmt.Errorf("console: find icons: %w", err)
	}
	for _, name := range icons {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("console: read icon: %w", err)
		}
		drawn := strings.Replace(strings.TrimSpace(string(content)), "<svg ", `<svg class="icon" aria-hidden="true" focusable="false" `, 1)
		made.icons[strings.TrimSuffix(path.Base(name), ".svg")] = template.HTML(drawn) //nolint:gosec // our own files
	}
	return made, nil
}

// add gives the hashed name of a file. What it loads is named by hashes first, so that its own hash changes with theirs.
func (a *assets) add(files fs.FS, name string, within []string) (string, error) {
	if known := a.hashed[name]; known != "" {
		return known, nil
	}
	for _, outer := range within {
		if outer == name {
			return "", fmt.Errorf("console: the asset %s loads itself", name)
		}
	}
	content, err := fs.ReadFile(files, "assets/"+name)
	if err != nil {
		return "", fmt.Errorf("console: read asset: %w", err)
	}
	var failed error
	content = loaded.ReplaceAllFunc(content, func(found []byte) []byte {
		parts := loaded.FindSubmatch(found)
		inner, err := a.add(files, string(parts[2]), append(within, name))
		if err != nil {
			failed = err
		}
		return []byte(string(parts[1]) + inner + `"`)
	})
	if failed != nil {
		return "", failed
	}
	sum := sha256.Sum256(content)
	extension := path.Ext(name)
	hashed := strings.TrimSuffix(name, extension) + "." + hex.EncodeToString(sum[:6]) + extension
	made := asset{name: hashed, contentType: mime.TypeByExtension(extension), plain: content}
	if made.packed, err = pack(content); err != nil {
		return "", err
	}
	a.byName[hashed], a.hashed[name] = made, hashed
	return hashed, nil
}

func pack(content []byte) ([]byte, error) {
	var packed bytes.Buffer
	packer, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("console: compress asset: %w", err)
	}
	if _, err = packer.Write(content); err == nil {
		err = packer.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("console: compress asset: %w", err)
	}
	return packed.Bytes(), nil
}

// path gives the address of an asset by its file's name.
func (a *assets) path(name string) (string, error) {
	hashed := a.hashed[name]
	if hashed == "" {
		return "", fmt.Errorf("there is no asset %q", name)
	}
	return "/assets/" + hashed, nil
}

// icon gives an icon to stand in a page. It is a decoration: what it means stands beside it.
func (a *assets) icon(name string) (template.HTML, error) {
	drawn, found := a.icons[name]
	if !found {
		return "", fmt.Errorf("there is no icon %q", name)
	}
	return drawn, nil
}

// ServeHTTP implements http.Handler.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found, ok := a.byName[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Cache-Control", "public, max-age=31536000, immutable")
	a.serve(w, r, found)
}

func (a *assets) favicon(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=86400")
	a.serve(w, r, a.byName[a.hashed["logo.svg"]])
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request, found asset) {
	header := w.Header()
	tag := `"` + found.name + `"`
	header.Set("Etag", tag)
	header.Set("Content-Type", found.contentType)
	header.Add("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := found.plain
	if takesGzip(r) {
		header.Set("Content-Encoding", "gzip")
		body = found.packed
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a reader that left cannot be told
}
