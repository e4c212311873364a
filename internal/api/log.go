package api

import (
	"log/slog"

	"github.com/dannsalud/broadcaster/internal/fault"
)

func logDoing(doing string) slog.Attr      { return slog.String("doing", doing) }
func logError(err error) slog.Attr         { return slog.String("error", err.Error()) }
func logClass(class fault.Class) slog.Attr { return slog.String("class", class.Label()) }
