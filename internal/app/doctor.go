package app

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/doctor"
	"github.com/dannsalud/broadcaster/internal/ops"
	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/store/mongo"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/wa"
	"github.com/dannsalud/broadcaster/internal/wa/keys"
)

// DoctorOptions say which deployment to look at: that of Servers, or else that of a data folder, whose product may be running.
type DoctorOptions struct {
	Servers *Servers
	DataDir string
	// KeySource and EgressKey are what the deployment is sealed with; EgressKey may be empty.
	KeySource, EgressKey KeySource
	// MaxConcurrentJobs and LeaseTTL are the fleet's; zero: the defaults.
	MaxConcurrentJobs int
	LeaseTTL          time.Duration
	// Passwords are those of the services' users at the queue, whose rights are compared with what the services need; a role without one is left out.
	Passwords map[Role]string
	// API is the address of the API; empty: it is not asked. HTTPClient asks it; nil: a client of its own.
	API        string
	HTTPClient *http.Client
	// Disk are the shares that must be free; zero: doctor.DefaultDiskLimits.
	Disk doctor.DiskLimits
	// Now is the clock of this machine; nil: time.Now. LibraryMade is when the WhatsApp library was made; zero: what the build says.
	Now         func() time.Time
	LibraryMade time.Time
}

// Doctor looks at a deployment, and changes nothing.
func Doctor(ctx context.Context, options DoctorOptions) doctor.Report {
	options.Disk = cmp.Or(options.Disk, doctor.DefaultDiskLimits())
	if options.Now == nil {
		options.Now = time.Now
	}
	e := &examination{DoctorOptions: options}
	var checks []doctor.Check
	if options.Servers != nil {
		checks = append(checks, e.queue(ctx)...)
		checks = append(checks, e.database(ctx)...)
		checks = append(checks, doctor.Check{Name: "WhatsApp version", Look: e.webVersion})
	} else {
		checks = append(checks, e.folder()...)
	}
	checks = append(checks, doctor.Check{Name: "key store", Look: e.keyStore}, doctor.Check{Name: "egress key", Look: e.egressKey},
		doctor.Check{Name: "API keys", Look: e.apiKeys}, doctor.Check{Name: "WhatsApp library", Look: e.library})
	if options.API != "" {
		checks = append(checks, e.api(ctx)...)
	}
	return doctor.Run(ctx, checks)
}

// examination is one look at a deployment.
type examination struct{ DoctorOptions }

// shown is an error as a finding may hold it.
func shown(err error) string { return ops.Redact(err.Error()) }

// after makes a look at what one exchange told. When it failed, another check says so.
func after[T any](exchange func() (T, error), look func(T) doctor.Finding) func(context.Context) doctor.Finding {
	return func(context.Context) doctor.Finding {
		seen, err := exchange()
		if err != nil {
			return doctor.Bad(doctor.Warning, "mend what is broken first, and look again", "it could not be looked at")
		}
		return look(seen)
	}
}

func (e *examination) busOptions(user, password string) bus.Options {
	return bus.Options{URL: e.Servers.NATS, User: user, Password: password, InboxPrefix: e.Servers.InboxPrefix, Name: "doctor",
		Replicas: e.Servers.Replicas, MaxConcurrentJobs: e.MaxConcurrentJobs, LeaseTTL: e.LeaseTTL, Log: slog.New(slog.DiscardHandler)}
}

// ownBusOptions are those of the user that the settings name.
func (e *examination) ownBusOptions() bus.Options {
	options := e.busOptions(e.Servers.User, e.Servers.Password)
	options.Credentials = e.Servers.Credentials
	return options
}

// leastNATS is the first version that keeps scheduled jobs, leastMongo the first whose counts see one moment.
const leastNATS, leastMongo = "2.12", "5.0"

func (e *examination) queue(ctx context.Context) []doctor.Check {
	look := sync.OnceValues(func() (bus.Inspection, error) { return bus.Look(ctx, e.ownBusOptions()) })
	checks := []doctor.Check{
		{Name: "queue", Look: func(context.Context) doctor.Finding { return e.reachable(look()) }},
		{Name: "queue topology", Look: after(look, topologyOf)},
		{Name: "queue clock", Look: after(look, func(seen bus.Inspection) doctor.Finding {
			if seen.Time.IsZero() {
				return doctor.Bad(doctor.Warning, "start the API, which makes the streams, and look again", "without streams the queue tells no time")
			}
			return doctor.Skew(doctor.Reading{Whose: "the queue", Time: seen.Time, At: seen.At, Unsure: seen.Took}, e.Now)
		})},
		{Name: "queue certificate", Look: after(look, func(seen bus.Inspection) doctor.Finding {
			if seen.CertificateEnds.IsZero() {
				return doctor.Fine("the connection has none")
			}
			return doctor.Expiry("the queue", seen.CertificateEnds, e.Now())
		})},
	}
	for _, role := range Roles() {
		if password := e.Passwords[role]; password != "" {
			checks = append(checks, doctor.Check{Name: "queue rights of " + string(role), Look: func(ctx context.Context) doctor.Finding {
				return e.rights(ctx, role, password)
			}})
		}
	}
	return checks
}

func (e *examination) reachable(seen bus.Inspection, err error) doctor.Finding {
	switch {
	case errors.Is(err, bus.ErrRefused):
		return doctor.Bad(doctor.Broken, "compare NATS_USER and NATS_PASSWORD with the users of the queue (deployments/nats/users.conf)",
			"the queue refuses the user: %s", shown(err))
	case err != nil:
		return doctor.Bad(doctor.Broken, "start the NATS server, or correct NATS_URL; JetStream must be on", "%s", shown(err))
	case doctor.Older(seen.Version, leastNATS):
		return doctor.Bad(doctor.Broken, "upgrade NATS to "+leastNATS+" or newer: an older one keeps no scheduled jobs", "NATS %s answers", seen.Version)
	}
	return doctor.Fine("NATS %s answers", seen.Version)
}

func topologyOf(seen bus.Inspection) doctor.Finding {
	switch {
	case len(seen.Missing) > 0:
		return doctor.Bad(doctor.Broken, "start or restart the API: it makes what is missing", "missing: %q; wrong: %q", seen.Missing, seen.Wrong)
	case len(seen.Wrong) > 0:
		return doctor.Bad(doctor.Broken, "give all services the same NATS_REPLICAS, MAX_CONCURRENT_JOBS and LEASE_TTL, and restart the API, which corrects the rest; "+
			"what it refuses to change (retention, storage) was made by something else", "wrong: %q", seen.Wrong)
	}
	return doctor.Fine("streams, consumers and buckets are as this version wants them")
}

// rights compares what a service needs with what its user may do.
func (e *examination) rights(ctx context.Context, role Role, password string) doctor.Finding {
	options := e.busOptions(string(role), password)
	options.InboxPrefix = "_INBOX_" + string(role)
	missing, err := bus.MissingRights(ctx, options, string(role))
	const fix = "take deployments/nats/users.conf of this version, and reload the server (nats-server --signal reload)"
	switch {
	case errors.Is(err, bus.ErrRightsHidden):
		return doctor.Bad(doctor.Warning, fix, "the user may not ask what it may do ($SYS.REQ.USER.INFO)")
	case err != nil:
		return doctor.Bad(doctor.Broken, "compare the password with that of the server", "the user cannot connect: %s", shown(err))
	case len(missing) > 0:
		return doctor.Bad(doctor.Broken, fix, "the user may not %q", missing)
	}
	return doctor.Fine("the user may do all that the service does")
}

func (e *examination) database(ctx context.Context) []doctor.Check {
	look := sync.OnceValues(func() (mongo.Inspection, error) {
		return mongo.Look(ctx, mongo.Options{URI: e.Servers.Mongo, Database: e.Servers.Database})
	})
	return []doctor.Check{
		{Name: "database", Look: func(context.Context) doctor.Finding {
			seen, err := look()
			switch {
			case err != nil:
				return doctor.Bad(doctor.Broken, "start MongoDB, or correct MONGODB_URI; a replica set needs a primary", "%s", shown(err))
			case doctor.Older(seen.Version, leastMongo):
				return doctor.Bad(doctor.Warning, "upgrade MongoDB to "+leastMongo+" or newer", "MongoDB %s answers", seen.Version)
			case len(seen.Lacks) > 0:
				return doctor.Bad(doctor.Warning, "run MongoDB as a replica set; one member is enough for transactions", "MongoDB %s answers, without %q", seen.Version, seen.Lacks)
			}
			return doctor.Fine("MongoDB %s answers, as a replica set", seen.Version)
		}},
		{Name: "database indexes", Look: after(look, func(seen mongo.Inspection) doctor.Finding {
			if len(seen.MissingIndexes) > 0 {
				return doctor.Bad(doctor.Broken, "restart any service: each makes the indexes that are missing at its start; then see why they were dropped",
					"missing: %q", seen.MissingIndexes)
			}
			return doctor.Fine("all indexes exist")
		})},
		{Name: "database clock", Look: after(look, func(seen mongo.Inspection) doctor.Finding {
			return doctor.Skew(doctor.Reading{Whose: "the database", Time: seen.Time, At: seen.At, Unsure: seen.Took}, e.Now)
		})},
	}
}

// folder are the checks of a product in one process.
func (e *examination) folder() []doctor.Check {
	books, keyFilePath := filepath.Join(e.DataDir, booksFile), filepath.Join(e.DataDir, keyFile)
	checks := []doctor.Check{
		{Name: "data folder", Look: doctor.Private(e.DataDir)},
		{Name: "disk", Look: doctor.Disk(e.DataDir, e.Disk)},
		{Name: "database", Look: func(ctx context.Context) doctor.Finding { return booksOf(sqlite.Look(ctx, books)) }},
	}
	if e.KeySource == (KeySource{}) {
		checks = append(checks, doctor.Check{Name: "key file", Look: doctor.Private(keyFilePath)})
	}
	return checks
}

func booksOf(seen sqlite.Inspection, err error) doctor.Finding {
	const restore = "stop the product and restore the data folder from a backup: see docs/operations.md"
	switch {
	case err != nil:
		return doctor.Bad(doctor.Broken, "name the right folder with --data, or restore it from a backup", "%s", shown(err))
	case seen.Damage != "":
		return doctor.Bad(doctor.Broken, restore, "the file is damaged: %s", ops.Redact(seen.Damage))
	case len(seen.Missing) > 0:
		return doctor.Bad(doctor.Broken, restore, "missing: %q", seen.Missing)
	case seen.Version < seen.Newest:
		return doctor.Bad(doctor.Warning, "start this version of the product: it migrates the file; keep a backup from before", "the schema is that of version %d, and this program has %d",
			seen.Version, seen.Newest)
	}
	return doctor.Fine("the file is sound, with schema %d", seen.Version)
}

// keyStore tells whether the configured keys open the key store.
func (e *examination) keyStore(ctx context.Context) doctor.Finding {
	const fix = "configure the key that seals this database (KEYSTORE_KEY, or the key file beside it), from the copy that is kept apart from the backups; " +
		"without it every phone must be linked again"
	ring, err := e.KeySource.ring(func() (*keys.Ring, error) {
		if e.Servers != nil {
			return nil, errNoKey
		}
		return keys.ReadRing(filepath.Join(e.DataDir, keyFile))
	})
	if err != nil {
		return doctor.Bad(doctor.Broken, fix, "%s", shown(err))
	}
	rows, closeRows, err := e.keyRows(ctx)
	if err != nil {
		return doctor.Bad(doctor.Warning, "mend the database first, and look again", "the key store could not be opened: %s", shown(err))
	}
	defer func() { _ = closeRows() }() // it was only read
	used, err := keys.Verify(ctx, keys.Options{Keys: rows, Ring: ring})
	if err != nil {
		return doctor.Bad(doctor.Broken, fix, "%s", shown(err))
	}
	if used > 1 {
		return doctor.Bad(doctor.Warning, "run broadcaster keys rotate, and take the old key out", "the key store is sealed with %d keys", used)
	}
	return doctor.Fine("the configured key opens the key store")
}

func (e *examination) keyRows(ctx context.Context) (store.Keys, func() error, error) {
	if e.Servers == nil {
		return KeyRotationOptions{DataDir: e.DataDir}.open(ctx)
	}
	database, err := e.mongo(ctx)
	if err != nil {
		return nil, nil, err
	}
	return database.Keys(), database.Close, nil
}

func (e *examination) egressKey(context.Context) doctor.Finding {
	if e.EgressKey == (KeySource{}) {
		if e.Servers == nil {
			return doctor.Fine("proxies are sealed with the key of the key store")
		}
		return doctor.Fine("there is none: the API takes no proxies")
	}
	if _, err := e.EgressKey.ring(nil); err != nil {
		return doctor.Bad(doctor.Broken, "give every service the same EGRESS_KEY, made by broadcaster keys generate", "%s", shown(err))
	}
	if e.EgressKey == e.KeySource {
		return doctor.Bad(doctor.Broken, "make another key for EGRESS_KEY, with broadcaster keys generate", "EGRESS_KEY is the key of the linked phones, which the API must not have")
	}
	return doctor.Fine("it can be read")
}

// apiKeys looks at the keys of the API that were not revoked.
func (e *examination) apiKeys(ctx context.Context) doctor.Finding {
	documents, closeBooks, err := e.books(ctx)
	if err != nil {
		return doctor.Bad(doctor.Warning, "mend the database first, and look again", "the keys could not be read: %s", shown(err))
	}
	defer func() { _ = closeBooks() }() // it was only read
	book, err := access.New(access.Options{Documents: documents})
	if err != nil {
		return doctor.Bad(doctor.Warning, "look again", "%s", shown(err))
	}
	listed, err := book.List(ctx, atTerminal)
	if err != nil {
		return doctor.Bad(doctor.Warning, "mend the database first, and look again", "the keys could not be read: %s", shown(err))
	}
	var held []doctor.APIKey
	for _, key := range listed {
		if key.RevokedAt.IsZero() {
			held = append(held, doctor.APIKey{ID: key.ID, Name: key.Name, ExpiresAt: key.ExpiresAt, UsedAt: key.UsedAt})
		}
	}
	return doctor.APIKeys(held, e.Now())
}

// books opens the documents without changing the database: a file that another version made is migrated by whoever opens it, and so is not opened.
func (e *examination) books(ctx context.Context) (store.Documents, func() error, error) {
	if e.Servers == nil {
		seen, err := sqlite.Look(ctx, filepath.Join(e.DataDir, booksFile))
		if err == nil && (seen.Damage != "" || seen.Version != seen.Newest) {
			err = errors.New("see the check of the database")
		}
		if err != nil {
			return nil, nil, err
		}
		file, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(e.DataDir, booksFile)})
		if err != nil {
			return nil, nil, err
		}
		return file.Documents(), file.Close, nil
	}
	database, err := e.mongo(ctx)
	if err != nil {
		return nil, nil, err
	}
	return database.Documents(), database.Close, nil
}

// mongo opens the services' database, and makes nothing in it.
func (e *examination) mongo(ctx context.Context) (*mongo.DB, error) {
	database, err := mongo.New(mongo.Options{URI: e.Servers.Mongo, Database: e.Servers.Database})
	if err != nil {
		return nil, err
	}
	if err := database.Health(ctx); err != nil {
		return nil, errors.Join(err, database.Close())
	}
	return database, nil
}

func (e *examination) library(context.Context) doctor.Finding {
	library := wa.BuiltWith()
	if !e.LibraryMade.IsZero() {
		library.Made = e.LibraryMade
	}
	return doctor.LibraryAge(library.Version, library.Made, e.Now())
}

// webVersion tells whether WhatsApp refused the version that the library was made for.
func (e *examination) webVersion(ctx context.Context) doctor.Finding {
	shared, err := e.sharedVersion(ctx)
	if err != nil {
		return doctor.Bad(doctor.Warning, "look again as a user that may read the bucket pacing, such as sender", "the version that the workers share could not be read")
	}
	if instead, refused := wa.RefusedLibrary(shared); refused {
		return doctor.Bad(doctor.Warning, "upgrade soon: a newer version number does not make an old library speak a newer protocol",
			"WhatsApp refused version %s of this build; the workers say that they are %s", wa.BuiltWith().WebVersion, instead)
	}
	return doctor.Fine("WhatsApp takes version %s of this build, as far as the workers know", wa.BuiltWith().WebVersion)
}

func (e *examination) sharedVersion(ctx context.Context) (wa.Version, error) {
	queue, err := bus.ConnectOnce(ctx, e.ownBusOptions())
	if err != nil {
		return wa.Version{}, err
	}
	defer func() { _ = queue.Close() }()
	pacing, err := queue.Bucket(ctx, bus.BucketPacing)
	if err != nil {
		return wa.Version{}, err
	}
	shared, _, err := versions{pacing}.ReadVersion(ctx)
	return shared, err
}

// api are the checks of the API from outside.
func (e *examination) api(ctx context.Context) []doctor.Check {
	asked := sync.OnceValues(func() (doctor.Answer, error) { return doctor.Ask(ctx, e.HTTPClient, e.API+"/readyz") })
	return []doctor.Check{
		{Name: "API", Look: func(context.Context) doctor.Finding {
			answer, err := asked()
			switch {
			case err != nil:
				return doctor.Bad(doctor.Broken, "start the API, or name its address with --api", "%s", shown(err))
			case answer.Status != http.StatusOK:
				return doctor.Bad(doctor.Broken, "mend what it names as unavailable; its log says why", "it answers %d: %s", answer.Status, ops.Redact(answer.Body))
			}
			return doctor.Fine("it is ready")
		}},
		{Name: "API clock", Look: after(asked, func(answer doctor.Answer) doctor.Finding {
			if answer.Date.IsZero() {
				return doctor.Bad(doctor.Warning, "ask the API itself, not a proxy that drops the header", "the answer has no Date")
			}
			unsure := answer.Took + time.Second // the header has whole seconds
			return doctor.Skew(doctor.Reading{Whose: "the API", Time: answer.Date, At: answer.At, Unsure: unsure}, e.Now)
		})},
		{Name: "API certificate", Look: func(ctx context.Context) doctor.Finding {
			end, err := doctor.CertificateEnd(ctx, e.API)
			switch {
			case err != nil:
				return doctor.Bad(doctor.Warning, "see the check of the API", "it could not be read: %s", shown(err))
			case end.IsZero():
				return doctor.Fine("the address has none")
			}
			return doctor.Expiry("the API", end, e.Now())
		}},
	}
}
