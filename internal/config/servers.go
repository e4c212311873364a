package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Queue are the settings of NATS. What is said of the fleet must be the same in all of its processes.
type Queue struct {
	NATSURLs        []string `env:"NATS_URL" envDefault:"nats://127.0.0.1:4222" allowed:"one or more addresses such as nats://nats:4222 or tls://nats:4222, separated by commas, without user and password" meaning:"The servers of the queue. One is enough to find the others."`
	NATSUser        string   `env:"NATS_USER" allowed:"1 to 32 letters, digits, dashes or underscores, together with NATS_PASSWORD and without NATS_CREDS" meaning:"The user of this service; see the users in deployments/nats."`
	NATSPassword    Secret   `env:"NATS_PASSWORD" allowed:"set together with NATS_USER" meaning:"The user's password."`
	NATSCredentials string   `env:"NATS_CREDS" allowed:"a path, without NATS_USER" meaning:"The file of a user's credentials (JWT and seed), for a NATS with decentralised accounts."`
	NATSInboxPrefix string   `env:"NATS_INBOX_PREFIX" allowed:"letters, digits, dashes or underscores" meaning:"The subject under which answers come back, which no other user may read. Empty: _INBOX_ and NATS_USER, or _INBOX without a user."`
	NATSReplicas    int      `env:"NATS_REPLICAS" envDefault:"1" allowed:"1 or 3" meaning:"How many servers keep each stream and bucket; the same in the whole fleet."`

	MaxConcurrentJobs int           `env:"MAX_CONCURRENT_JOBS" envDefault:"5" allowed:"a number from 1 to 100" meaning:"How many campaigns run at once in the whole fleet; the same in the whole fleet."`
	LeaseTTL          time.Duration `env:"LEASE_TTL" envDefault:"15s" allowed:"a duration from 3s to 2m" meaning:"How long a session stays with a worker that died; the same in the whole fleet."`
}

var natsName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

func (q Queue) check(c *checker) {
	c.want(len(q.NATSURLs) > 0 && !slices.ContainsFunc(q.NATSURLs, func(address string) bool { return !isServer(address) }), "NATS_URL")
	c.want(q.NATSUser == "" || natsName.MatchString(q.NATSUser) && q.NATSPassword != "" && q.NATSCredentials == "", "NATS_USER")
	c.want(q.NATSPassword == "" || q.NATSUser != "", "NATS_PASSWORD")
	c.want(q.NATSInboxPrefix == "" || natsName.MatchString(q.NATSInboxPrefix), "NATS_INBOX_PREFIX")
	c.want(q.NATSReplicas == 1 || q.NATSReplicas == 3, "NATS_REPLICAS")
	c.want(within(q.MaxConcurrentJobs, 1, 100), "MAX_CONCURRENT_JOBS")
	c.want(within(q.LeaseTTL, 3*time.Second, 2*time.Minute), "LEASE_TTL")
}

func (q Queue) warnings(environment string) []string {
	if environment == Production && q.NATSUser == "" && q.NATSCredentials == "" {
		return []string{"NATS_USER and NATS_CREDS are empty: whoever reaches the queue may do what this service may"}
	}
	return nil
}

// isServer tells whether a text is the address of a NATS server that holds no credentials.
func isServer(address string) bool {
	parsed, err := url.Parse(address)
	return err == nil && slices.Contains([]string{"nats", "tls", "ws", "wss"}, parsed.Scheme) && parsed.Hostname() != "" && parsed.User == nil
}

// URL gives the addresses in the form that the client of NATS takes.
func (q Queue) URL() string { return strings.Join(q.NATSURLs, ",") }

// InboxPrefix gives NATS_INBOX_PREFIX, or the user's own.
func (q Queue) InboxPrefix() string {
	switch {
	case q.NATSInboxPrefix != "":
		return q.NATSInboxPrefix
	case q.NATSUser != "":
		return "_INBOX_" + q.NATSUser
	}
	return "_INBOX"
}

// Database are the settings of MongoDB.
type Database struct {
	MongoURI      Secret `env:"MONGODB_URI" envDefault:"mongodb://127.0.0.1:27017" allowed:"a connection string: mongodb://user:password@host:27017,host2:27017/?replicaSet=rs0 or mongodb+srv://…" meaning:"The database."`
	MongoDatabase string `env:"MONGODB_DATABASE" envDefault:"broadcaster" allowed:"1 to 63 letters, digits, dashes or underscores" meaning:"The name of the database."`
}

var databaseName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`)

func (d Database) check(c *checker) {
	uri := d.MongoURI.Reveal()
	c.want(strings.HasPrefix(uri, "mongodb://") || strings.HasPrefix(uri, "mongodb+srv://"), "MONGODB_URI")
	c.want(databaseName.MatchString(d.MongoDatabase), "MONGODB_DATABASE")
}
