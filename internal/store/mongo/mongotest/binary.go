package mongotest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// ferretModule is FerretDB; its version is in the go.mod of our server's module.
const ferretModule = "github.com/FerretDB/FerretDB"

// serverDir is the module of the server within ours.
const serverDir = "internal/store/mongo/ferret"

// Binary gives the path of the server program, building it first when this source of it was not built on this machine before: 40 s on two
// cores, once. Of several processes that want it at the same time one builds it and the others wait.
func Binary(ctx context.Context) (path string, err error) {
	source, err := sourceDir(ctx)
	if err != nil {
		return "", err
	}
	name, err := binaryName(source)
	if err != nil {
		return "", err
	}
	caches, err := os.UserCacheDir()
	if err != nil { // a process without a home
		caches = os.TempDir()
	}
	dir := filepath.Join(caches, "broadcaster-test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	path = filepath.Join(dir, name)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	if err := build(ctx, source, dir, path); err != nil {
		return "", fmt.Errorf("build the MongoDB-wire server: %w", err)
	}
	return path, nil
}

// sourceDir is the folder of the server's module, found from the module that the caller runs in.
func sourceDir(ctx context.Context) (string, error) {
	out, err := command(ctx, ".", "env", "GOMOD")
	if err != nil {
		return "", err
	}
	file := strings.TrimSpace(string(out))
	if filepath.Base(file) != "go.mod" {
		return "", errors.New("run this within the module: its source holds the MongoDB-wire server")
	}
	return filepath.Join(filepath.Dir(file), filepath.FromSlash(serverDir)), nil
}

// binaryName holds a digest of everything that the program is made of.
func binaryName(source string) (string, error) {
	digest := sha256.New()
	fmt.Fprintf(digest, "%s %s %s\n%v\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, patches)
	for _, from := range slices.Sorted(maps.Keys(additions)) {
		text, err := added.ReadFile(from)
		if err != nil {
			return "", fmt.Errorf("read an addition: %w", err)
		}
		fmt.Fprintf(digest, "%s %d\n%s", additions[from], len(text), text)
	}
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		text, err := os.ReadFile(filepath.Join(source, name)) //nolint:gosec // a file of our source
		if err != nil {
			return "", fmt.Errorf("read the source of the server: %w", err)
		}
		fmt.Fprintf(digest, "%s %d\n%s", name, len(text), text)
	}
	name := "ferret-" + hex.EncodeToString(digest.Sum(nil)[:8])
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return name, nil
}

// build compiles the server with a patched copy of FerretDB, and puts it in its place at once: a build that was interrupted leaves nothing.
func build(ctx context.Context, source, dir, path string) (err error) {
	work, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	original, err := download(ctx, source)
	if err != nil {
		return err
	}
	patched := filepath.Join(work, "ferretdb")
	if err := copyTree(original, patched); err != nil {
		return fmt.Errorf("copy FerretDB: %w", err)
	}
	if err := applyPatches(patched); err != nil {
		return err
	}
	server := filepath.Join(work, "server")
	if err := copyTree(source, server); err != nil {
		return fmt.Errorf("copy the server: %w", err)
	}
	if _, err := command(ctx, server, "mod", "edit", "-replace="+ferretModule+"="+patched); err != nil {
		return err
	}
	built := filepath.Join(work, filepath.Base(path))
	// The compiler's cache is keyed by content, so the copy in another folder costs nothing twice.
	if _, err := command(ctx, server, "build", "-trimpath", "-ldflags=-s -w", "-mod=mod", "-o", built, "."); err != nil {
		return err
	}
	return os.Rename(built, path)
}

// download gives the folder of FerretDB in the module cache.
func download(ctx context.Context, source string) (string, error) {
	out, err := command(ctx, source, "mod", "download", "-json", ferretModule)
	if err != nil {
		return "", err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", fmt.Errorf("read where FerretDB is: %w", err)
	}
	return module.Dir, nil
}

// command runs the go command, without cgo and whatever workspace it is in.
func command(ctx context.Context, dir string, args ...string) ([]byte, error) {
	var out, said bytes.Buffer
	run := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the arguments are ours
	run.Dir, run.Stdout, run.Stderr = dir, &out, &said
	run.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if err := run.Run(); err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(said.Bytes()))
	}
	return out.Bytes(), nil
}

// copyTree copies regular files, writable: those of the module cache are not.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case entry.Type().IsRegular():
			return copyFile(path, target)
		}
		return nil
	})
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from) //nolint:gosec // a file of a module
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) //nolint:gosec // a file of our build folder
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
