package console

import (
	"embed"
	"fmt"
	"io/fs"
	"path"

	"github.com/nicksnyder/go-i18n/v2/i18n"
)

//go:embed messages/*.json
var messageFiles embed.FS

// loadCatalog reads the texts of one language, and gives their keys. Each area of the pages has its own file.
func loadCatalog(bundle *i18n.Bundle, code string) (map[string]bool, error) {
	names, err := fs.Glob(messageFiles, "messages/*."+code+".json")
	if err != nil {
		return nil, fmt.Errorf("console: find texts: %w", err)
	}
	keys := map[string]bool{}
	for _, name := range names {
		content, err := messageFiles.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("console: read texts: %w", err)
		}
		file, err := bundle.ParseMessageFileBytes(content, path.Base(name))
		if err != nil {
			return nil, fmt.Errorf("console: read texts of %s: %w", name, err)
		}
		for _, text := range file.Messages {
			if keys[text.ID] {
				return nil, fmt.Errorf("console: %s says %s a second time", name, text.ID)
			}
			keys[text.ID] = true
		}
	}
	return keys, nil
}
