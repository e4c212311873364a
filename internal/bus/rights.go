package bus

import (
	"slices"
	"strings"

	"github.com/dannsalud/broadcaster/internal/events"
)

// permission is what a user may do in one direction.
type permission struct {
	Allow []string `json:"allow"`
	Deny  []string `json:"deny"`
}

// allows tells whether a subject, which may have wildcards, is allowed. Nothing said: it is.
func (p *permission) allows(subject string) bool {
	if p == nil {
		return true
	}
	covers := func(pattern string) bool { return covers(pattern, subject) }
	return (len(p.Allow) == 0 || slices.ContainsFunc(p.Allow, covers)) && !slices.ContainsFunc(p.Deny, covers)
}

// covers tells whether a pattern of NATS takes every subject that another takes.
func covers(pattern, subject string) bool {
	wide, narrow := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range wide {
		switch {
		case token == ">":
			return len(narrow) > i
		case i >= len(narrow), narrow[i] == ">", token != "*" && token != narrow[i]:
			return false
		}
	}
	return len(wide) == len(narrow)
}

// needs are the subjects that a service uses.
type needs struct{ publish, subscribe []string }

// needs gives those of a service, by the topology: what deployments/nats/users.conf must allow.
func (b *Bus) needs(service string) needs {
	inbox := b.options.InboxPrefix
	if inbox == "" {
		inbox = "_INBOX"
	}
	n := needs{subscribe: []string{inbox + ".>"}}
	for _, stream := range b.streams() {
		n.publish = append(n.publish, "$JS.API.STREAM.INFO."+stream.Name)
	}
	switch service {
	case "api":
		b.needsOfAPI(&n)
	case "linker":
		n.needsOfWorker(ConsumerLinker, events.StreamCommands)
		n.publish = append(n.publish, "commands.link.*", "events.session.*.link")
		n.bucket(BucketQR, true, false)
		n.bucket(BucketAnswers, true, true)
		n.subscribe = append(n.subscribe, "events.session.>")
	case "sender":
		n.needsOfWorker(ConsumerSender, events.StreamCommands)
		n.takes(ConsumerProjector, events.StreamEvents)
		n.takes(ConsumerInbound, events.StreamEvents)
		n.takes(ConsumerWebhooks, events.StreamEvents)
		n.takes(ConsumerWebhook, events.StreamCommands)
		n.publish = append(n.publish, "commands.campaign.*", "commands.webhook.*", "events.session.*.state", "events.session.*.inbound", "events.campaign.*.state",
			"events.message.*.receipt", "wa.send.*")
		n.bucket(BucketOpened, true, true)
		n.subscribe = append(n.subscribe, "events.session.>", "events.campaign.*.state", "wa.send.*", "wa.lookup.*")
	}
	return n
}

func (b *Bus) needsOfAPI(n *needs) {
	n.publish = append(n.publish, "commands.link.*", "commands.campaign.*", "commands.webhook.*", schedulePrefix+"*", "wa.lookup.*", "events.session.*.state",
		"events.session.*.link", "events.session.*.inbound", "events.campaign.*.state", "events.message.*.receipt")
	for _, stream := range []string{events.StreamFailed, events.StreamEvents} { // read and followed by consumers of its own
		n.publish = append(n.publish, "$JS.API.CONSUMER.CREATE."+stream+".>", "$JS.API.CONSUMER.DELETE."+stream+".*", "$JS.API.CONSUMER.MSG.NEXT."+stream+".*")
	}
	for _, stream := range []string{events.StreamFailed, events.StreamCommands} {
		n.publish = append(n.publish, "$JS.API.STREAM.MSG.GET."+stream, "$JS.API.STREAM.MSG.DELETE."+stream)
	}
	for _, stream := range b.streams() {
		n.publish = append(n.publish, "$JS.API.STREAM.CREATE."+stream.Name, "$JS.API.STREAM.UPDATE."+stream.Name)
	}
	for _, bucket := range b.buckets() {
		n.publish = append(n.publish, "$JS.API.STREAM.CREATE.KV_"+bucket.Bucket, "$JS.API.STREAM.UPDATE.KV_"+bucket.Bucket)
	}
	for _, c := range b.consumers() {
		n.publish = append(n.publish, "$JS.API.CONSUMER.CREATE."+c.stream+"."+c.name+".>")
	}
	n.bucket(BucketQR, false, true)
	n.bucket(BucketAnswers, true, false)
	n.bucket(BucketPacing, true, true)
	n.bucket(BucketRepairs, true, true)
	n.bucket(BucketRunning, false, true)
	n.bucket(BucketAttempts, false, true)
	n.subscribe = append(n.subscribe, "events.session.*.link")
}

// needsOfWorker are those that linkers and senders share.
func (n *needs) needsOfWorker(consumer, stream string) {
	n.takes(consumer, stream)
	n.takes(ConsumerExhausted, streamAdvisories)
	n.bucket(BucketRunning, true, false)
	n.publish = append(n.publish, "failed.>", "$JS.API.CONSUMER.CREATE.KV_"+BucketLeases+".>")
	for _, bucket := range []string{BucketLeases, BucketPacing, BucketAttempts} {
		n.bucket(bucket, true, true)
	}
}

func (n *needs) takes(consumer, stream string) {
	n.publish = append(n.publish, "$JS.API.CONSUMER.INFO."+stream+"."+consumer, "$JS.API.CONSUMER.MSG.NEXT."+stream+"."+consumer,
		"$JS.ACK."+stream+"."+consumer+".>")
}

func (n *needs) bucket(name string, writes, reads bool) {
	if writes {
		n.publish = append(n.publish, "$KV."+name+".>")
	}
	if reads {
		n.publish = append(n.publish, "$JS.API.DIRECT.GET.KV_"+name+".>")
	}
}
