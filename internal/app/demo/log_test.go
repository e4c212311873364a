package demo

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/dannsalud/broadcaster/examples"
	"github.com/dannsalud/broadcaster/internal/ops"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/wa/keys"
)

// TestTheLogOfAWholeDemoHoldsNoNumberKeyOrCode scans the debug log of a run from the first link to the last receipt.
func TestTheLogOfAWholeDemoHoldsNoNumberKeyOrCode(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	var known evidence
	options := Options{Out: &bytes.Buffer{}, Log: ops.NewLogger(ops.LogOptions{Writer: &log, Level: slog.LevelDebug, Repeats: -1}),
		seeQR: known.code, examine: func(data string, stage *stage) { known.gather(t, data, stage) }}
	if _, err := Run(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	text := log.String()
	for _, found := range known.in(text) {
		t.Error(found)
	}
	lines := strings.Count(text, "\n")
	t.Logf("%d lines against %d numbers and %d secrets", lines, len(known.numbers), len(known.secrets))
	// A scan that knows nothing, or reads nothing, finds nothing.
	if lines < 100 || len(known.numbers) < 150 || len(known.secrets) < 20 {
		t.Errorf("too little to tell: %d lines, %d numbers, %d secrets", lines, len(known.numbers), len(known.secrets))
	}
	for _, message := range []string{`"msg":"ready"`, `"level":"DEBUG"`, `"trace":"`, `"session":"`, `"campaign":"`, `"job":"`} {
		if !strings.Contains(text, message) {
			t.Errorf("no line has %s", message)
		}
	}
}

// TestTheScanFindsWhatItLooksFor: a scan that cannot fail proves nothing.
func TestTheScanFindsWhatItLooksFor(t *testing.T) {
	t.Parallel()
	var known evidence
	key := []byte("0123456789abcdef0123456789abcdef")
	known.number("+5491150001234")
	known.key("noise", key)
	known.code("https://wa.me/settings/linked_devices#2@reference/of=a,public+key+of+the+device=,third-part-of-it==")
	for name, line := range map[string]string{
		"E.164": `to +5491150001234 it`, "an address": `5491150001234:3@s.whatsapp.net`, "national": `(011) 15-5000-1234`, "without the 9": "541150001234",
		"with spaces": "+54 9 11 5000 1234", "local": "call 5000-1234", "dots": "11.5000.1234",
		"hex": hex.EncodeToString(key), "upper hex": strings.ToUpper(hex.EncodeToString(key)), "base64": base64.StdEncoding.EncodeToString(key),
		"base64 for addresses": base64.RawURLEncoding.EncodeToString(key), "numbers": fmt.Sprint(key), "raw": string(key),
		"a part of a code": "x public+key+of+the+device= y",
	} {
		if len(known.in(line)) == 0 {
			t.Errorf("%s is not found in %q", name, line)
		}
	}
	for _, line := range []string{`"time":"2026-11-28T01:05:20.123456789Z"`, `"took":50001234567`, `"session":"ses_01970000-0000-7000-8000-123456789012"`} {
		if found := known.in(line); len(found) != 0 {
			t.Errorf("%q: %v", line, found)
		}
	}
}

// evidence is what must not be in a log.
type evidence struct {
	mu sync.Mutex
	// numbers has the last digits of each number: national ones, in whatever form the rest is written, and local ones.
	numbers map[string]bool
	// secrets has every spelling of a key or code, with its name.
	secrets map[string]string
}

// nationalDigits is how long a number of Argentina is without its country, and localDigits without its area too.
const nationalDigits, localDigits = 10, 8

func (e *evidence) number(text string) {
	digits := strings.Map(func(letter rune) rune {
		if letter < '0' || letter > '9' {
			return -1
		}
		return letter
	}, text)
	if len(digits) < localDigits {
		return
	}
	if e.numbers == nil {
		e.numbers = map[string]bool{}
	}
	e.numbers[digits[len(digits)-localDigits:]] = true
	e.numbers[digits[max(0, len(digits)-nationalDigits):]] = true
	e.numbers["15"+digits[len(digits)-localDigits:]] = true // how mobile numbers are written within the country
}

func (e *evidence) secret(name, text string) {
	if e.secrets == nil {
		e.secrets = map[string]string{}
	}
	if len(text) >= 8 {
		e.secrets[text] = name
	}
}

func (e *evidence) key(name string, key []byte) {
	if len(key) == 0 {
		return
	}
	for _, spelling := range []string{hex.EncodeToString(key), strings.ToUpper(hex.EncodeToString(key)), base64.RawStdEncoding.EncodeToString(key),
		base64.RawURLEncoding.EncodeToString(key), fmt.Sprint(key), string(key)} {
		e.secret(name, spelling)
	}
}

// code notes a QR, and each part of it.
func (e *evidence) code(qr string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.secret("QR", qr)
	for part := range strings.SplitSeq(qr, ",") {
		e.secret("part of a QR", part)
	}
}

// gather asks the simulator and the key store.
func (e *evidence) gather(t *testing.T, data string, stage *stage) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for line := range strings.Lines(string(examples.Contacts)) {
		for field := range strings.SplitSeq(line, ",") {
			e.number(field)
		}
	}
	for message := range stage.simulator.Received() {
		e.number(message.To)
		e.number(message.From)
		e.number(stage.simulator.Contact(message.To).LID().User)
	}
	for number := 1; number <= len(stage.sessions); number++ {
		phone := stage.simulator.Phone(phoneNumber(number))
		e.number(phone.Number())
		e.number(phone.LID().User)
	}
	e.gatherKeys(t, data, stage)
}

func (e *evidence) gatherKeys(t *testing.T, data string, stage *stage) {
	sealing, err := os.ReadFile(filepath.Join(data, "keystore.key"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSpace(string(sealing))
	e.secret("sealing key", text[strings.LastIndex(text, ":")+1:])
	ring, err := keys.ReadRing(filepath.Join(data, "keystore.key"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := sqlite.OpenKeys(t.Context(), sqlite.Options{Path: filepath.Join(data, "keystore.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	opened, err := keys.Open(t.Context(), keys.Options{Keys: rows, Ring: ring})
	if err != nil {
		t.Fatal(err)
	}
	for _, linked := range stage.sessions {
		owner, err := opened.Own(t.Context(), keys.OwnerOptions{Session: linked.ID, Epoch: math.MaxInt64})
		if err != nil {
			t.Fatal(err)
		}
		device, err := owner.Device(t.Context())
		if err != nil || device == nil {
			t.Fatalf("session %s has no device: %v", linked.ID, err)
		}
		e.key("noise key", device.NoiseKey.Priv[:])
		e.key("identity key", device.IdentityKey.Priv[:])
		e.key("signed prekey", device.SignedPreKey.Priv[:])
		e.key("advertisement secret", device.AdvSecretKey)
		if err := owner.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// written is a number as people write it: digits with single separators between them.
var written = regexp.MustCompile(`\d(?:[ .()-]{0,2}\d)*`)

// in says what of the evidence is in a text.
func (e *evidence) in(text string) (found []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, run := range written.FindAllString(text, -1) {
		digits := strings.Map(func(letter rune) rune {
			if strings.ContainsRune(" .()-", letter) {
				return -1
			}
			return letter
		}, run)
		if len(digits) == localDigits && e.numbers[digits] {
			found = append(found, "a local number: "+run)
		}
		for i := 0; i+nationalDigits <= len(digits); i++ {
			if e.numbers[digits[i:i+nationalDigits]] {
				found = append(found, "a number: "+run)
			}
		}
	}
	for secret, name := range e.secrets {
		if strings.Contains(text, secret) {
			found = append(found, "a "+name)
		}
	}
	return found
}

// lockedBuffer takes the lines of several goroutines.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
