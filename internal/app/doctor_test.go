package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/doctor"
	"github.com/dannsalud/broadcaster/internal/store/mongo"
	"github.com/dannsalud/broadcaster/internal/store/mongo/mongotest"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/wa/keys"
)

// secretOfTheQueue must be in no finding.
const secretOfTheQueue = "pw-of-the-doctor"

// deployment is a healthy one, on real servers, to be broken in one way.
type deployment struct {
	*testing.T

	options app.DoctorOptions
	broker  *server.Server
}

// newQueue starts a broker with a user for each role and one for the operator. allow replaces what the sender may publish.
func newQueue(t *testing.T, allow []string) *server.Server {
	t.Helper()
	users := []*server.User{{Username: "operator", Password: secretOfTheQueue}}
	for _, role := range app.Roles() {
		user := &server.User{Username: string(role), Password: secretOfTheQueue}
		if role == app.RoleSender && allow != nil {
			user.Permissions = &server.Permissions{Publish: &server.SubjectPermission{Allow: allow}}
		}
		users = append(users, user)
	}
	running, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, StoreDir: t.TempDir(), JetStream: true, Users: users,
		NoSigs: true, NoLog: true, JetStreamMaxMemory: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	running.Start()
	t.Cleanup(func() {
		running.Shutdown()
		running.WaitForShutdown()
	})
	if !running.ReadyForConnections(20 * time.Second) {
		t.Fatal("the broker did not start")
	}
	queue, err := bus.Connect(t.Context(), bus.Options{URL: running.ClientURL(), User: "operator", Password: secretOfTheQueue, Name: "api",
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = queue.Close() }()
	if err := queue.EnsureTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	return running
}

// newAPI serves a ready API whose certificate has some time left.
func newAPI(t *testing.T, left time.Duration, status int) (address string, client *http.Client) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(left),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"checks":{"broker":"unavailable"}}`))
	}))
	api.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	api.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{signed}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	api.StartTLS()
	t.Cleanup(api.Close)
	return api.URL, api.Client()
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{T: t, broker: newQueue(t, nil)}
	uri, name := mongotest.Database(t)
	database, err := mongo.Open(t.Context(), mongo.Options{URI: uri, Database: name})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = database.Close() }()
	key := app.GenerateKey()
	ring, err := keys.ParseRing(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Open(t.Context(), keys.Options{Keys: database.Keys(), Ring: ring}); err != nil {
		t.Fatal(err)
	}
	d.options = app.DoctorOptions{
		Servers:   &app.Servers{NATS: d.broker.ClientURL(), User: "operator", Password: secretOfTheQueue, Mongo: uri, Database: name},
		KeySource: app.KeySource{Key: key}, EgressKey: app.KeySource{Key: app.GenerateKey()}, LibraryMade: time.Now(),
		Passwords: map[app.Role]string{app.RoleAPI: secretOfTheQueue, app.RoleLinker: secretOfTheQueue, app.RoleSender: secretOfTheQueue},
	}
	d.options.API, d.options.HTTPClient = newAPI(t, 365*24*time.Hour, http.StatusOK)
	return d
}

// js asks the broker for what the product never does.
func (d *deployment) js() jetstream.JetStream {
	d.Helper()
	conn, err := nats.Connect(d.broker.ClientURL(), nats.UserInfo("operator", secretOfTheQueue))
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		d.Fatal(err)
	}
	return js
}

func (d *deployment) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// sick gives the findings that are not ok, and checks that each says what to do and none tells a secret.
func sick(t *testing.T, report doctor.Report) map[string]doctor.State {
	t.Helper()
	found := map[string]doctor.State{}
	var text strings.Builder
	if err := report.Write(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), secretOfTheQueue) {
		t.Errorf("a password is in the report:\n%s", &text)
	}
	for _, finding := range report {
		if finding.State != doctor.OK {
			found[finding.Check] = finding.State
			t.Logf("%s %s: %s -> %s", finding.State, finding.Check, finding.Saw, finding.Fix)
			if finding.Fix == "" {
				t.Errorf("%s is %s, and nobody says what to do", finding.Check, finding.State)
			}
		}
	}
	return found
}

// notAReplicaSet is what the server of these tests is warned about; a real one is a replica set.
func notAReplicaSet() map[string]doctor.State {
	if mongotest.Real() {
		return map[string]doctor.State{}
	}
	return map[string]doctor.State{"database": doctor.Warning}
}

// TestTheDoctorFindsWhatIsBroken breaks a healthy deployment in one way each time.
func TestTheDoctorFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	const broken, warning = doctor.Broken, doctor.Warning
	rows := map[string]struct {
		ruin func(*deployment)
		want map[string]doctor.State
	}{
		"healthy": {func(*deployment) {}, nil},
		"a stream with another setting": {func(d *deployment) {
			stream, err := d.js().Stream(d.Context(), "EVENTS")
			d.must(err)
			config := stream.CachedInfo().Config
			config.MaxAge = time.Hour
			_, err = d.js().UpdateStream(d.Context(), config)
			d.must(err)
		}, map[string]doctor.State{"queue topology": broken}},
		"a consumer is missing": {func(d *deployment) {
			d.must(d.js().DeleteConsumer(d.Context(), "COMMANDS", "sender"))
		}, map[string]doctor.State{"queue topology": broken}},
		"a bucket is missing": {func(d *deployment) {
			d.must(d.js().DeleteKeyValue(d.Context(), "leases"))
		}, map[string]doctor.State{"queue topology": broken}},
		"another MAX_CONCURRENT_JOBS": {func(d *deployment) { d.options.MaxConcurrentJobs = 7 }, map[string]doctor.State{"queue topology": broken}},
		"the queue is not there": {func(d *deployment) {
			d.broker.Shutdown()
			d.broker.WaitForShutdown()
		}, map[string]doctor.State{"queue": broken, "queue topology": warning, "queue clock": warning, "queue certificate": warning, "WhatsApp version": warning,
			"queue rights of api": broken, "queue rights of linker": broken, "queue rights of sender": broken}},
		"a wrong password": {func(d *deployment) { d.options.Servers.Password = "another" },
			map[string]doctor.State{"queue": broken, "queue topology": warning, "queue clock": warning, "queue certificate": warning, "WhatsApp version": warning}},
		"a right is missing": {func(d *deployment) {
			d.broker = newQueue(d.T, []string{"$SYS.>", "_INBOX_sender.>", "commands.>", "events.>", "failed.>", "wa.>", "$JS.>", "$KV.pacing.>", "$KV.attempts.>",
				"$KV.opened.>"})
			d.options.Servers.NATS = d.broker.ClientURL()
		}, map[string]doctor.State{"queue rights of sender": broken}},
		"rights that cannot be read": {func(d *deployment) {
			d.broker = newQueue(d.T, []string{"commands.>"})
			d.options.Servers.NATS = d.broker.ClientURL()
		}, map[string]doctor.State{"queue rights of sender": warning}},
		"the database is not there": {func(d *deployment) { d.options.Servers.Mongo = "mongodb://127.0.0.1:1" },
			map[string]doctor.State{"database": broken, "database indexes": warning, "database clock": warning, "key store": warning, "API keys": warning}},
		"an API key expires": {func(d *deployment) {
			_, _, err := app.CreateAPIKey(d.Context(), app.KeyBookOptions{Servers: d.options.Servers}, aKeyOfAWeek())
			d.must(err)
		}, map[string]doctor.State{"API keys": warning}},
		"indexes are missing": {func(d *deployment) { _, d.options.Servers.Database = mongotest.Database(d.T) },
			map[string]doctor.State{"database indexes": broken}},
		"a clock is off": {func(d *deployment) { d.options.Now = func() time.Time { return time.Now().Add(time.Minute) } },
			map[string]doctor.State{"queue clock": broken, "database clock": broken, "API clock": broken}},
		"a clock is a little off": {func(d *deployment) { d.options.Now = func() time.Time { return time.Now().Add(-8 * time.Second) } },
			map[string]doctor.State{"queue clock": warning, "database clock": warning, "API clock": warning}},
		"a certificate is about to expire": {func(d *deployment) {
			d.options.API, d.options.HTTPClient = newAPI(d.T, 5*24*time.Hour, http.StatusOK)
		}, map[string]doctor.State{"API certificate": warning}},
		"a certificate has expired": {func(d *deployment) {
			d.options.API, d.options.HTTPClient = newAPI(d.T, -time.Hour, http.StatusOK)
		}, map[string]doctor.State{"API": broken, "API clock": warning, "API certificate": broken}},
		"the API is not ready": {func(d *deployment) {
			d.options.API, d.options.HTTPClient = newAPI(d.T, 365*24*time.Hour, http.StatusServiceUnavailable)
		}, map[string]doctor.State{"API": broken}},
		"no key":        {func(d *deployment) { d.options.KeySource = app.KeySource{} }, map[string]doctor.State{"key store": broken}},
		"another key":   {func(d *deployment) { d.options.KeySource.Key = app.GenerateKey() }, map[string]doctor.State{"key store": broken}},
		"one key twice": {func(d *deployment) { d.options.EgressKey = d.options.KeySource }, map[string]doctor.State{"egress key": broken}},
		"an old library": {func(d *deployment) { d.options.LibraryMade = time.Now().Add(-43 * 24 * time.Hour) },
			map[string]doctor.State{"WhatsApp library": warning}},
		"WhatsApp refused the version": {func(d *deployment) {
			queue, err := bus.Connect(d.Context(), bus.Options{URL: d.broker.ClientURL(), User: "operator", Password: secretOfTheQueue, Name: "worker",
				Log: slog.New(slog.DiscardHandler)})
			d.must(err)
			defer func() { _ = queue.Close() }()
			bucket, err := queue.Bucket(d.Context(), bus.BucketPacing)
			d.must(err)
			_, err = bucket.Create(d.Context(), app.VersionKey, []byte(`{"revision":4294967295,"tried_at":"2026-11-01T00:00:00Z"}`))
			d.must(err)
		}, map[string]doctor.State{"WhatsApp version": warning}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t)
			row.ruin(d)
			report := app.Doctor(t.Context(), d.options)
			want := notAReplicaSet()
			maps.Copy(want, row.want)
			got := sick(t, report)
			if !maps.Equal(got, want) {
				t.Errorf("found %v, want %v", got, want)
			}
			if report.Healthy() == slices.Contains(slices.Collect(maps.Values(want)), broken) {
				t.Errorf("healthy is %t", report.Healthy())
			}
		})
	}
}

func aKeyOfAWeek() app.NewAPIKey {
	return app.NewAPIKey{Name: "App", Role: "viewer", ExpiresAt: time.Now().Add(7 * 24 * time.Hour)}
}

// newFolder makes the data folder of a product in one process.
func newFolder(t *testing.T) app.DoctorOptions {
	t.Helper()
	folder := t.TempDir()
	books, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(folder, "broadcaster.db")})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.MakeRing(filepath.Join(folder, "keystore.key"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := sqlite.OpenKeys(t.Context(), sqlite.Options{Path: filepath.Join(folder, "keystore.db")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Open(t.Context(), keys.Options{Keys: rows, Ring: ring}); err != nil {
		t.Fatal(err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	if err := books.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	return app.DoctorOptions{DataDir: folder, LibraryMade: time.Now(), Disk: doctor.DiskLimits{Warning: 1e-9, Broken: 1e-10}}
}

func TestTheDoctorLooksAtADataFolder(t *testing.T) {
	t.Parallel()
	const broken, warning = doctor.Broken, doctor.Warning
	rows := map[string]struct {
		ruin func(*testing.T, *app.DoctorOptions)
		want map[string]doctor.State
	}{
		"healthy": {func(*testing.T, *app.DoctorOptions) {}, map[string]doctor.State{}},
		"a disk that is nearly full": {func(_ *testing.T, o *app.DoctorOptions) { o.Disk = doctor.DiskLimits{Warning: 1.1, Broken: 1.1} },
			map[string]doctor.State{"disk": broken}},
		"a disk that fills up": {func(_ *testing.T, o *app.DoctorOptions) { o.Disk = doctor.DiskLimits{Warning: 1.1} },
			map[string]doctor.State{"disk": warning}},
		"an API key expires": {func(t *testing.T, o *app.DoctorOptions) {
			if _, _, err := app.CreateAPIKey(t.Context(), app.KeyBookOptions{DataDir: o.DataDir}, aKeyOfAWeek()); err != nil {
				t.Fatal(err)
			}
		}, map[string]doctor.State{"API keys": warning}},
		"no key file": {func(t *testing.T, o *app.DoctorOptions) {
			if err := os.Remove(filepath.Join(o.DataDir, "keystore.key")); err != nil {
				t.Fatal(err)
			}
		}, map[string]doctor.State{"key file": broken, "key store": broken}},
		"a key file for everybody": {func(t *testing.T, o *app.DoctorOptions) {
			if err := os.Chmod(filepath.Join(o.DataDir, "keystore.key"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, map[string]doctor.State{"key file": warning}},
		"an index is missing": {func(t *testing.T, o *app.DoctorOptions) { dropIndex(t, filepath.Join(o.DataDir, "broadcaster.db")) },
			map[string]doctor.State{"database": broken}},
		"a file that is no database": {func(t *testing.T, o *app.DoctorOptions) {
			if err := os.WriteFile(filepath.Join(o.DataDir, "broadcaster.db"), []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, map[string]doctor.State{"database": broken, "API keys": warning}},
		"another folder": {func(_ *testing.T, o *app.DoctorOptions) { o.DataDir = filepath.Join(o.DataDir, "none") },
			map[string]doctor.State{"data folder": broken, "disk": warning, "database": broken, "key file": broken, "key store": broken, "API keys": warning}},
		"an API that is not there": {func(_ *testing.T, o *app.DoctorOptions) { o.API = "http://127.0.0.1:1" },
			map[string]doctor.State{"API": broken, "API clock": warning}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := newFolder(t)
			row.ruin(t, &options)
			if got := sick(t, app.Doctor(t.Context(), options)); !maps.Equal(got, row.want) {
				t.Errorf("found %v, want %v", got, row.want)
			}
		})
	}
}

func dropIndex(t *testing.T, path string) {
	t.Helper()
	file, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var name string
	if err := file.QueryRowContext(t.Context(), "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL LIMIT 1").Scan(&name); err != nil {
		t.Fatal(err)
	}
	if _, err := file.ExecContext(t.Context(), "DROP INDEX "+name); err != nil {
		t.Fatal(err)
	}
}
