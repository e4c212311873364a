package keys

import (
	"bytes"
	"testing"

	"github.com/dannsalud/broadcaster/internal/fault"
)

func TestASecretOpensInItsPlaceOnly(t *testing.T) {
	t.Parallel()
	former, first := GenerateKey(), GenerateKey()
	ring, err := ParseRing(former)
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("socks5://alice:hunter2@proxy.example:1080")
	envelope, err := ring.SealSecret("ses_a", "egress", "px_1", secret)
	if err != nil || bytes.Contains(envelope, []byte("hunter2")) {
		t.Fatalf("sealed as %q, %v", envelope, err)
	}
	rotated, err := ParseRing(first + "," + former)
	if err != nil {
		t.Fatal(err)
	}
	for _, opener := range []*Ring{ring, rotated} {
		if opened, err := opener.OpenSecret("ses_a", "egress", "px_1", envelope); err != nil || !bytes.Equal(opened, secret) {
			t.Errorf("opened %q, %v", opened, err)
		}
	}
	for _, place := range [][3]string{{"ses_b", "egress", "px_1"}, {"ses_a", "other", "px_1"}, {"ses_a", "egress", "px_2"}} {
		if opened, err := ring.OpenSecret(place[0], place[1], place[2], envelope); fault.Of(err) != fault.Internal {
			t.Errorf("opened %q at %v: %v", opened, place, err)
		}
	}
}
