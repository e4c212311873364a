package keys_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	. "github.com/dannsalud/broadcaster/internal/wa/keys"
)

// The environment of the process that is killed: which database it writes, with which key.
const (
	crashPath = "KEYS_CRASH_PATH"
	crashKey  = "KEYS_CRASH_KEY"
)

// sendUntilKilled writes message after message and says each number when the store has said that it is safe.
func sendUntilKilled(ctx context.Context, path, key string) error {
	database, err := sqlite.OpenKeys(ctx, sqlite.Options{Path: path})
	if err != nil {
		return err
	}
	ring, err := ParseRing(key)
	if err != nil {
		return err
	}
	keyStore, err := Open(ctx, Options{Keys: database, Ring: ring})
	if err != nil {
		return err
	}
	owner, err := keyStore.Own(ctx, OwnerOptions{Session: "ses_1", Epoch: 1})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		if err := send(ctx, owner, fmt.Sprintf("message %06d", i), threeDevices); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

// TestAKilledProcessLosesNothingThatWasSaid kills a process in the middle of its writes. Every message that it said is there; of the one that it was
// at, everything is there or nothing.
func TestAKilledProcessLosesNothingThatWasSaid(t *testing.T) {
	t.Parallel()
	path, key := filepath.Join(t.TempDir(), "keys.db"), GenerateKey()
	self, err := os.Executable()
	must(t, err)
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), crashPath+"="+path, crashKey+"="+key)
	child.Stderr = t.Output()
	said, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	last, lines := -1, bufio.NewScanner(said)
	for lines.Scan() {
		if _, err := fmt.Sscan(lines.Text(), &last); err != nil {
			t.Fatalf("it said %q", lines.Text())
		}
		if last == 100 {
			must(t, child.Process.Kill())
		}
	}
	if err := child.Wait(); err == nil || last < 100 {
		t.Fatalf("it ended by itself after message %d", last)
	}
	owner := own(t, openStore(t, openSQLiteAt(t, path), parseRing(t, key)), "ses_1", 2)
	found, err := owner.GetManySessions(t.Context(), threeDevices)
	must(t, err)
	reached, _, _ := strings.Cut(string(found[threeDevices[0]]), " session")
	for _, address := range threeDevices {
		if !strings.HasPrefix(string(found[address]), reached+" session") {
			t.Errorf("the sessions are of different messages: %s and %.14s", reached, found[address])
		}
	}
	number := -1
	if _, err := fmt.Sscanf(reached, "message %d", &number); err != nil || number < last {
		t.Errorf("the sessions are those of %q, and message %d was said", reached, last)
	}
	for i := range number + 1 {
		if _, _, err := owner.GetOutgoingEvent(t.Context(), phoneJID, phoneJID, fmt.Sprintf("message %06d", i)); err != nil {
			t.Errorf("message %d cannot be sent again: %v", i, err)
		}
	}
	if _, _, err := owner.GetOutgoingEvent(t.Context(), phoneJID, phoneJID, fmt.Sprintf("message %06d", number+1)); err == nil {
		t.Error("half of a message is there")
	}
}
