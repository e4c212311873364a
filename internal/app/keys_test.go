package app_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store/mongo/mongotest"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/wa/keys"
)

func TestKeysOfADataFolderAreRotated(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if _, err := app.RotateKeys(t.Context(), app.KeyRotationOptions{DataDir: folder, KeySource: app.KeySource{Key: app.GenerateKey()}}); fault.Of(err) != fault.Invalid {
		t.Errorf("a folder without a key store: %v", err)
	}
	file := filepath.Join(folder, "keystore.key")
	ring, err := keys.MakeRing(file)
	if err != nil {
		t.Fatal(err)
	}
	database, err := sqlite.OpenKeys(t.Context(), sqlite.Options{Path: filepath.Join(folder, "keystore.db")})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := keys.Open(t.Context(), keys.Options{Keys: database, Ring: ring})
	if err != nil {
		t.Fatal(err)
	}
	owner, err := opened.Own(t.Context(), keys.OwnerOptions{Session: "ses_1", Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.PutSession(t.Context(), "1:0", []byte("session")); err != nil {
		t.Fatal(err)
	}
	if err := database.Close(); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fresh := app.GenerateKey()
	source := app.KeySource{Key: "new:" + fresh + ",old:" + string(old[:len(old)-1])}
	rotation, err := app.RotateKeys(t.Context(), app.KeyRotationOptions{DataDir: folder, KeySource: source})
	if err != nil || rotation.Resealed != 1 || rotation.Sessions != 1 || len(rotation.Retired) != 1 {
		t.Fatalf("%+v, %v", rotation, err)
	}
	if _, err := app.RotateKeys(t.Context(), app.KeyRotationOptions{DataDir: folder, KeySource: app.KeySource{}}); fault.As(err) == nil || fault.As(err).Code != "keystore_key_missing" {
		t.Errorf("the retired key opens the store: %v", err)
	}
	if err := os.WriteFile(file, []byte("new:"+fresh+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]app.KeySource{"the folder's own file": {}, "a file": {File: file}, "a key": {Key: "new:" + fresh}} {
		if again, err := app.RotateKeys(t.Context(), app.KeyRotationOptions{DataDir: folder, KeySource: source}); err != nil || again.Resealed != 0 {
			t.Errorf("%s: %+v, %v", name, again, err)
		}
	}
}

func TestKeysOfASharedDatabaseAreRotated(t *testing.T) {
	t.Parallel()
	uri, name := mongotest.Database(t)
	old, fresh := app.GenerateKey(), app.GenerateKey()
	options := app.KeyRotationOptions{Servers: &app.Servers{Mongo: uri, Database: name}}
	if _, err := app.RotateKeys(t.Context(), options); fault.Of(err) != fault.Invalid {
		t.Errorf("without a key: %v", err)
	}
	options.KeySource.Key = old
	if rotation, err := app.RotateKeys(t.Context(), options); err != nil || rotation.Resealed != 0 {
		t.Errorf("an empty key store: %+v, %v", rotation, err)
	}
	options.KeySource.Key = fresh
	if _, err := app.RotateKeys(t.Context(), options); err == nil {
		t.Error("the old key is missing")
	}
	options.KeySource.Key = fresh + "," + old
	if rotation, err := app.RotateKeys(t.Context(), options); err != nil || len(rotation.Retired) != 1 {
		t.Errorf("%+v, %v", rotation, err)
	}
}
