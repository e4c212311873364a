package mongotest

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
)

// patch is a change of one file of FerretDB. The text must stand there exactly once, so that another version is noticed.
type patch struct {
	file   string
	old    string
	new    string
	reason string
}

// serial makes a handler wait until the one before it is through.
const serial = "\n\tserial.Lock()\n\tdefer serial.Unlock()\n"

const (
	updateHandler = "func (h *Handler) MsgUpdate(connCtx context.Context, msg *wire.OpMsg) (*wire.OpMsg, error) {"
	deleteHandler = "func (h *Handler) MsgDelete(connCtx context.Context, msg *wire.OpMsg) (*wire.OpMsg, error) {"
	modifyHandler = "func (h *Handler) MsgFindAndModify(connCtx context.Context, msg *wire.OpMsg) (*wire.OpMsg, error) {"
	sortClause    = "\tq += whereClause\n\tq += prepareOrderByClause(params.Sort)\n"
)

// patches make the test server keep two promises of MongoDB that our code rests on: that an update of a document is atomic, and that a filter is served
// by an index. It would otherwise decode every document of the collection for each update, 90 microseconds each.
var patches = []patch{
	{"internal/handler/msg_update.go", updateHandler, updateHandler + serial,
		"an update reads, decides and writes; in MongoDB nothing comes between"},
	{"internal/handler/msg_delete.go", deleteHandler, deleteHandler + serial,
		"a conditional delete decides on what is stored"},
	{"internal/handler/msg_findandmodify.go", modifyHandler, modifyHandler + serial,
		"it is an update that answers with the document"},
	{"internal/backends/sqlite/collection.go", sortClause, "\twhereClause, args = pushdown(params.Filter)\n" + sortClause,
		"SQLite applies what it can of a filter; FerretDB applies the whole filter to what comes out"},
	{"internal/backends/sqlite/metadata/metadata.go", `DefaultColumn + "->'$._id'"`, `DefaultColumn + "->\"_id\""`,
		"SQLite uses an index of an expression only for the expression as it was written"},
}

// additions are files that the patches need.
var additions = map[string]string{
	"patches/serial.go.txt":   "internal/handler/serial.go",
	"patches/pushdown.go.txt": "internal/backends/sqlite/pushdown.go",
}

//go:embed patches
var added embed.FS

// applyPatches changes a copy of FerretDB's module.
func applyPatches(dir string) error {
	for _, p := range patches {
		path := filepath.Join(dir, filepath.FromSlash(p.file))
		text, err := os.ReadFile(path) //nolint:gosec // a file of the copy that build made
		if err != nil {
			return fmt.Errorf("read what is to be patched: %w", err)
		}
		if found := bytes.Count(text, []byte(p.old)); found != 1 {
			return fmt.Errorf("patch %s (%s): %q stands there %d times instead of once: it is another version of FerretDB", p.file, p.reason, p.old, found)
		}
		if err := os.WriteFile(path, bytes.Replace(text, []byte(p.old), []byte(p.new), 1), 0o600); err != nil { //nolint:gosec // as above
			return fmt.Errorf("patch %s: %w", p.file, err)
		}
	}
	for from, to := range additions {
		text, err := added.ReadFile(from)
		if err != nil {
			return fmt.Errorf("read an addition: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(to)), text, 0o600); err != nil {
			return fmt.Errorf("add %s: %w", to, err)
		}
	}
	return nil
}
