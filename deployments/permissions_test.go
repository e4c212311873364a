package deployments

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

const (
	someSession  = session.ID("s1")
	someCampaign = campaign.ID("c1")
)

var (
	linkJob      = events.LinkSession{Version: events.LinkSessionVersion, SessionID: someSession, LinkID: "l1", Method: session.MethodQR}
	campaignJob  = events.RunCampaign{Version: events.RunCampaignVersion, CampaignID: someCampaign, SessionID: someSession, Slice: 1}
	sessionFact  = events.SessionChanged{Version: events.FactVersion, SessionID: someSession}
	linkFact     = events.LinkChanged{Version: events.FactVersion, SessionID: someSession, LinkID: "l1"}
	campaignFact = events.CampaignChanged{Version: events.FactVersion, CampaignID: someCampaign, SessionID: someSession}
	webhookJob   = events.NewDeliverWebhook("w1", events.Occurrence{Kind: "webhook_test", MessageID: "t1", Data: []byte("{}")}, time.Unix(1, 0))
	inbound      = events.MessageReceived{Version: events.FactVersion, SessionID: someSession, MessageIn: "m1"}
	receipt      = events.MessageReceipt{Version: events.FactVersion, SessionID: someSession, CampaignID: someCampaign,
		MessageIDs: []string{"m1"}, Receipt: session.ReceiptDelivered}
)

// TestTheTopologyIsMadeByTheAPIAlone: it may be made again, and the other services wait for it and look.
func TestTheTopologyIsMadeByTheAPIAlone(t *testing.T) {
	t.Parallel()
	broker, api := prepared(t)
	must(t, "make the topology again", within(t, api.EnsureTopology))
	must(t, "look at it", within(t, api.Health))
	for _, user := range []string{"linker", "sender"} {
		other := open(t, broker, user)
		must(t, user+" waits for the topology", within(t, other.AwaitTopology))
		must(t, user+" looks at it", within(t, other.Health))
		raw := dial(t, broker, user)
		for _, forbidden := range []string{"$JS.API.STREAM.CREATE.MINE", "$JS.API.STREAM.UPDATE.COMMANDS", "$JS.API.STREAM.PURGE.COMMANDS",
			"$JS.API.STREAM.DELETE.COMMANDS", "$JS.API.CONSUMER.DELETE.COMMANDS.linker", "$JS.API.CONSUMER.CREATE.COMMANDS.mine.commands.>"} {
			raw.mustNotPublish(t, forbidden)
		}
	}
}

// TestTheAPIDoesItsWork: it publishes jobs and facts, and reads what a person has to scan.
func TestTheAPIDoesItsWork(t *testing.T) {
	t.Parallel()
	broker, api := prepared(t)
	for _, command := range []events.Command{linkJob, campaignJob, webhookJob} {
		must(t, "publish a command", within(t, func(ctx context.Context) error { return api.SendCommand(ctx, command) }))
	}
	must(t, "publish facts", within(t, func(ctx context.Context) error {
		return api.PublishFacts(ctx, []events.Fact{sessionFact, linkFact, campaignFact})
	}))
	must(t, "schedule a command", within(t, func(ctx context.Context) error {
		return api.ScheduleCommand(ctx, campaignJob, time.Now().Add(time.Hour))
	}))
	answerLookups(t, open(t, broker, "sender"), api)
	show(t, open(t, broker, "linker"))
	prompts, err := api.Prompts(t.Context())
	must(t, "open the prompts", err)
	shown, found, err := prompts.Get(t.Context(), someSession)
	if err != nil || !found || shown.QR != "2@secret" {
		t.Errorf("the API reads the prompt %v, found %v, error %v", shown.QR != "", found, err)
	}
	given, err := api.Answers(t.Context())
	must(t, "open the answers", err)
	must(t, "give an answer", given.Give(t.Context(), someSession, session.Answer{LinkID: "l1"}))
	taken, err := open(t, broker, "linker").Answers(t.Context())
	must(t, "open the answers", err)
	if _, found, err := taken.Take(t.Context(), someSession); err != nil || !found {
		t.Errorf("the linker takes the answer: %t, %v", found, err)
	}
	nudged := make(chan string, 1)
	stop, err := api.Watch(t.Context(), "events.session."+string(someSession)+".link", func(subject string, _ []byte) { nudged <- subject })
	must(t, "watch a link", err)
	defer stop()
	must(t, "publish a fact", api.PublishFact(t.Context(), linkFact))
	receive(t, "the nudge", nudged)
	readsFacts(t, api)
}

// readsFacts: the API follows the facts, and reads old ones.
func readsFacts(t *testing.T, api *bus.Bus) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	followed, ended := make(chan uint64, 16), make(chan error, 1)
	go func() { ended <- api.FollowFacts(ctx, 0, func(fact events.Recorded) { followed <- fact.Sequence }) }()
	receive(t, "a fact that is followed", followed)
	stop()
	must(t, "follow facts", <-ended)
	facts, _, err := api.ReadFacts(t.Context(), 0, 1)
	if err != nil || len(facts) != 1 {
		t.Errorf("the API reads %d facts, %v", len(facts), err)
	}
}

// show shows a code, as a linker does.
func show(t *testing.T, linker *bus.Bus) *bus.Prompts {
	t.Helper()
	prompts, err := linker.Prompts(t.Context())
	must(t, "open the prompts", err)
	must(t, "show a code", prompts.Show(t.Context(), someSession, session.Prompt{LinkID: "l1", QR: "2@secret"}))
	return prompts
}

// TestTheLinkerDoesItsWork: it takes link jobs, holds leases, shows codes, says what happens, and gives jobs up.
func TestTheLinkerDoesItsWork(t *testing.T) {
	t.Parallel()
	broker, _ := prepared(t)
	linker := open(t, broker, "linker")
	prompts := show(t, linker)
	must(t, "clear a code", prompts.Clear(t.Context(), someSession))
	holdLease(t, linker)
	pacing, err := linker.Bucket(t.Context(), bus.BucketPacing)
	must(t, "open the pacing", err)
	_, err = pacing.Create(t.Context(), "egress.direct", []byte("{}"))
	must(t, "pace an egress", err)
	if keys, err := pacing.Keys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("the linker lists %v, %v", keys, err)
	}
	if waiting, err := linker.Waiting(t.Context(), linkJob.Subject()); err != nil || waiting {
		t.Errorf("a link without a job waits: %v, %v", waiting, err)
	}
	nudged := make(chan string, 1)
	stop, err := linker.Watch(t.Context(), "events.session."+string(someSession)+".>", func(subject string, _ []byte) { nudged <- subject })
	must(t, "watch a session", err)
	defer stop()
	must(t, "publish a fact", linker.PublishFact(t.Context(), linkFact))
	receive(t, "the nudge", nudged)

	worker, err := linker.NewWorker(bus.WorkerOptions{})
	must(t, "make a worker", err)
	tries := make(chan int, 8)
	n := 0
	must(t, "handle", worker.HandleLinkSession(func(context.Context, events.LinkSession) error {
		n++
		tries <- n
		if n == 1 {
			return fault.New(fault.RetryNow, "again", "Once more") // its record is kept, and read
		}
		return fault.New(fault.Poison, "poison", "Give it up")
	}))
	run(t, worker)
	must(t, "publish a job", linker.SendCommand(t.Context(), linkJob)) // as for a link whose turn has come
	receive(t, "the job", tries)
	receive(t, "the job again", tries)
	awaitFailed(t, broker, 1)
}

// TestTheAPIMendsWhatFailed: it shows, edits, replays and discards failed jobs, facts too, and shows and cancels those in the queue.
func TestTheAPIMendsWhatFailed(t *testing.T) {
	t.Parallel()
	broker, api := prepared(t)
	worker, err := open(t, broker, "sender").NewWorker(bus.WorkerOptions{DrainTime: -1})
	must(t, "make a worker", err)
	must(t, "handle", worker.HandleRunCampaign(func(context.Context, events.RunCampaign) error {
		return fault.New(fault.Poison, "poison", "Give it up")
	}))
	must(t, "handle", worker.HandleMessageReceived(func(context.Context, events.MessageReceived) error {
		return fault.New(fault.Poison, "poison", "Give it up")
	}))
	run(t, worker)
	must(t, "publish a job", api.SendCommand(t.Context(), campaignJob))
	awaitFailed(t, broker, 1)
	must(t, "publish a fact", open(t, broker, "sender").PublishFact(t.Context(), inbound))
	awaitFailed(t, broker, 2)
	failed := api.NewFailedQueue()
	jobs, _, err := failed.List(t.Context(), events.FailedFilter{}, 0, 10)
	must(t, "list failed jobs", err)
	if len(jobs) != 2 {
		t.Fatalf("the API lists %+v", jobs)
	}
	shown, err := failed.Get(t.Context(), jobs[0].Entry)
	must(t, "show a failed job", err)
	_, err = failed.Edit(t.Context(), shown.Entry, shown.Payload, "test")
	must(t, "edit a failed job", err)
	_, err = failed.Replay(t.Context(), jobs[0].Entry, true)
	must(t, "replay a failed job", err)
	_, err = failed.Replay(t.Context(), jobs[1].Entry, true)
	must(t, "replay a fact", err)
	awaitFailed(t, broker, 2)
	jobs, _, err = failed.List(t.Context(), events.FailedFilter{}, 0, 10)
	must(t, "list failed jobs again", err)
	must(t, "discard a failed job", failed.Discard(t.Context(), jobs[0].Entry))

	must(t, "publish a job that nobody takes", api.SendCommand(t.Context(), linkJob))
	_, err = api.Queues(t.Context())
	must(t, "look at the queues", err)
	pending, _, err := api.LiveJobs(t.Context(), []events.JobState{events.JobPending}, 0, 10)
	must(t, "list jobs", err)
	_, _, err = api.LiveJobs(t.Context(), []events.JobState{events.JobRunning}, 0, 10)
	must(t, "list running jobs", err)
	must(t, "cancel a job", api.RemoveJob(t.Context(), pending[0].Sequence))
	dial(t, broker, "api").mayPublish(t, "$JS.API.DIRECT.GET.KV_running.$KV.running.x", "$JS.API.DIRECT.GET.KV_attempts.$KV.attempts.x")
	for _, user := range []string{"linker", "sender"} {
		dial(t, broker, user).mayPublish(t, "$KV.running.x")
	}
}

// TestTheSenderDoesItsWork: it takes campaign jobs and receipts, queues the next slice, hosts sessions and asks other hosts.
func TestTheSenderDoesItsWork(t *testing.T) {
	t.Parallel()
	broker, api := prepared(t)
	sender, other := open(t, broker, "sender"), open(t, broker, "sender")
	holdLease(t, sender)
	answerSends(t, sender, other)
	for _, filter := range []string{"events.session.>", "events.session.*.state", "events.campaign.*.state"} {
		stop, err := sender.Watch(t.Context(), filter, func(string, []byte) {})
		must(t, "watch "+filter, err)
		defer stop()
	}
	worker, err := sender.NewWorker(bus.WorkerOptions{})
	must(t, "make a worker", err)
	jobs, receipts := make(chan int, 4), make(chan int, 4)
	must(t, "handle", worker.HandleRunCampaign(func(ctx context.Context, job events.RunCampaign) error {
		jobs <- job.Slice
		if job.Slice > 1 {
			return fault.New(fault.Poison, "poison", "Give it up")
		}
		job.Slice++
		return sender.SendCommand(ctx, job)
	}))
	must(t, "handle", worker.HandleMessageReceipt(func(context.Context, events.MessageReceipt) error {
		receipts <- 1
		return nil
	}))
	written := make(chan int, 4)
	must(t, "handle", worker.HandleMessageReceived(func(context.Context, events.MessageReceived) error {
		written <- 1
		return nil
	}))
	told := make(chan int, 16)
	must(t, "handle", worker.HandleEveryFact(func(ctx context.Context, fact events.Occurrence) error {
		return sender.SendCommand(ctx, events.NewDeliverWebhook("w1", fact, fact.At))
	}))
	must(t, "handle", worker.HandleDeliverWebhook(func(context.Context, events.DeliverWebhook) error {
		told <- 1
		return nil
	}))
	run(t, worker)
	must(t, "publish a job", api.SendCommand(t.Context(), campaignJob))
	must(t, "publish facts", sender.PublishFacts(t.Context(), []events.Fact{receipt, sessionFact, inbound, campaignFact}))
	receive(t, "the job", jobs)
	receive(t, "the next slice", jobs)
	receive(t, "the receipt", receipts)
	receive(t, "what somebody wrote", written)
	for range 4 {
		receive(t, "what a webhook is told", told)
	}
	awaitFailed(t, broker, 1)
	if waiting, err := sender.Waiting(t.Context(), campaignJob.Subject()); err != nil || !waiting {
		t.Errorf("a failed job waits: %v, %v", waiting, err)
	}
	if _, err := sender.InHand(t.Context(), bus.ConsumerSender); err != nil {
		t.Error(err)
	}
}

// TestAnyWorkerBuriesWhatTheServerGaveUp: a job and a fact whose workers crashed too often go to FAILED, whoever they were for.
func TestAnyWorkerBuriesWhatTheServerGaveUp(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"linker", "sender"} {
		broker, api := prepared(t)
		must(t, "publish a fact", api.PublishFact(t.Context(), sessionFact))
		operator := dial(t, broker, "operator")
		given := events.Command(campaignJob) // not for this worker
		worker, err := open(t, broker, user).NewWorker(bus.WorkerOptions{})
		must(t, "make a worker", err)
		if user == "linker" {
			err = worker.HandleLinkSession(func(context.Context, events.LinkSession) error { return nil })
		} else {
			given, err = linkJob, worker.HandleRunCampaign(func(context.Context, events.RunCampaign) error { return nil })
		}
		must(t, "handle", err)
		must(t, "publish a job", api.SendCommand(t.Context(), given))
		run(t, worker)
		for _, stream := range []string{events.StreamCommands, events.StreamEvents} { // as the server says it (bus/exhausted.go)
			must(t, "give up", operator.Publish("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES."+stream+".x",
				[]byte(`{"stream":"`+stream+`","consumer":"x","stream_seq":1,"deliveries":100}`)))
		}
		awaitFailed(t, broker, 2)
	}
}

// TestRightsThatShowUnderLoad: answers to the flow control of watched and listed buckets, and the clocks of the egresses, which every service
// moves: the linker with links, the sender with connections and logouts, the API when an operator resets one.
func TestRightsThatShowUnderLoad(t *testing.T) {
	t.Parallel()
	broker := start(t)
	for user, subjects := range map[string][]string{
		"api":    {"$KV.answers.s1", "$KV.pacing.direct", "$JS.API.DIRECT.GET.KV_pacing.$KV.pacing.direct"},
		"linker": {"$KV.answers.s1", "$JS.API.DIRECT.GET.KV_answers.$KV.answers.s1", "$JS.FC.KV_leases.x.1", "$JS.FC.KV_pacing.x.1", "$KV.pacing.direct", "$JS.API.DIRECT.GET.KV_pacing.$KV.pacing.direct"},
		"sender": {"$JS.FC.KV_leases.x.1", "$KV.pacing.direct", "$JS.API.DIRECT.GET.KV_pacing.$KV.pacing.direct"},
	} {
		dial(t, broker, user).mayPublish(t, subjects...)
	}
}

// answerSends lets one sender host a session and another ask it.
func answerSends(t *testing.T, host, asking *bus.Bus) {
	t.Helper()
	stop, err := host.ServeSends(t.Context(), someSession, func(context.Context, events.SendRequest) events.SendReply {
		return events.SendReply{SentAt: time.Unix(1, 0)}
	})
	must(t, "host a session", err)
	defer stop()
	opened, err := host.Bucket(t.Context(), bus.BucketOpened)
	must(t, "open the epochs", err)
	_, err = opened.Create(t.Context(), string(someSession), []byte("1"))
	must(t, "note an epoch", err)
	_, _, err = opened.Get(t.Context(), string(someSession))
	must(t, "read an epoch", err)
	must(t, "ask the host", within(t, func(ctx context.Context) error {
		reply, err := asking.RequestSend(ctx, events.SendRequest{SessionID: someSession, MessageID: "m1"})
		return errors.Join(err, reply.Err())
	}))
}

// answerLookups lets a sender host a session and the API ask it about numbers.
func answerLookups(t *testing.T, host, api *bus.Bus) {
	t.Helper()
	stop, err := host.ServeSends(t.Context(), someSession, func(_ context.Context, request events.SendRequest) events.SendReply {
		return events.SendReply{Lookups: []campaign.Lookup{{Phone: request.Lookup[0], Exists: true}}}
	})
	must(t, "host a session", err)
	defer stop()
	must(t, "ask the host about a number", within(t, func(ctx context.Context) error {
		reply, err := api.RequestSend(ctx, events.SendRequest{SessionID: someSession, MessageID: "l1", Lookup: []string{"+5491150000001"}})
		if err == nil && len(reply.Lookups) != 1 {
			t.Errorf("the host answers %+v", reply)
		}
		return errors.Join(err, reply.Err())
	}))
}

// holdLease does with the bucket of leases what internal/lease does.
func holdLease(t *testing.T, b *bus.Bus) {
	t.Helper()
	bucket, err := b.Bucket(t.Context(), bus.BucketLeases)
	must(t, "open the leases", err)
	_, err = bucket.Made(t.Context())
	must(t, "ask for the age of the leases", err)
	ctx, cancel := context.WithCancel(t.Context())
	freed, watched := make(chan string, 8), make(chan error, 1)
	go func() {
		watched <- bucket.Watch(ctx, "", func(change bus.Change) {
			if change.Gone {
				freed <- change.Key
			}
		})
	}()
	// The watch begins at some moment; leases are claimed and released until it sees one.
	for seen := false; !seen; {
		revision, err := bucket.Create(t.Context(), "s1", []byte("worker"))
		must(t, "claim a lease", err)
		_, err = bucket.Create(t.Context(), "s1", []byte("thief"))
		if !errors.Is(err, bus.ErrExists) {
			t.Fatalf("claim a claimed lease: %v", err)
		}
		revision, err = bucket.Update(t.Context(), "s1", []byte("worker"), revision)
		must(t, "renew a lease", err)
		_, _, err = bucket.Get(t.Context(), "s1")
		must(t, "read a lease", err)
		must(t, "release a lease", bucket.Delete(t.Context(), "s1", revision))
		select {
		case <-freed:
			seen = true
		case err := <-watched:
			t.Fatalf("watch the leases: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	cancel()
	must(t, "watch the leases", <-watched)
}

// TestNobodyDoesAnothersWork: each user is refused what belongs to another one.
func TestNobodyDoesAnothersWork(t *testing.T) {
	t.Parallel()
	broker, _ := prepared(t)
	publish := map[string][]string{
		"api": {
			"$JS.API.CONSUMER.MSG.NEXT.EVENTS.projector", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.inbound", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.webhooks",
			"$JS.API.CONSUMER.DELETE.EVENTS.projector", "$JS.API.CONSUMER.DELETE.EVENTS.inbound", "$JS.API.CONSUMER.DELETE.EVENTS.webhooks", "$JS.API.CONSUMER.DELETE.COMMANDS.x",
			"$JS.API.CONSUMER.MSG.NEXT.COMMANDS.linker", "$JS.API.CONSUMER.MSG.NEXT.COMMANDS.sender", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.projector", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.inbound",
			"$JS.API.CONSUMER.MSG.NEXT.EVENTS.webhooks", "$JS.API.CONSUMER.MSG.NEXT.COMMANDS.webhook", "$JS.ACK.COMMANDS.sender.1.1.1.1.1", "$KV.leases.s1", "$KV.qr.s1", "$JS.API.DIRECT.GET.KV_answers.$KV.answers.s1", "$JS.API.DIRECT.GET.KV_leases.$KV.leases.s1",
			"$JS.API.CONSUMER.CREATE.COMMANDS.mine.commands.>", "$JS.API.CONSUMER.CREATE.COMMANDS", "$JS.API.CONSUMER.DURABLE.CREATE.COMMANDS.mine",
			"$JS.API.STREAM.DELETE.COMMANDS", "$JS.API.STREAM.PURGE.EVENTS", "$JS.API.STREAM.CREATE.MINE", "$JS.API.STREAM.MSG.DELETE.EVENTS", "$JS.API.STREAM.PURGE.FAILED",
			"$KV.running.s1", "$KV.attempts.s1", "wa.send.s1", "failed.commands.link.s1", "_INBOX_sender.x",
		},
		"linker": {
			"commands.campaign.c1", "commands.webhook.d1", "$JS.API.CONSUMER.MSG.NEXT.COMMANDS.webhook", "events.campaign.c1.state", "events.session.s1.stable", "events.session.s1.phone", "events.message.c1.receipt", "events.session.s1.inbound",
			"wa.send.s1", "$JS.API.CONSUMER.MSG.NEXT.COMMANDS.sender", "$JS.ACK.COMMANDS.sender.1.1.1.1.1", "$JS.API.STREAM.MSG.DELETE.FAILED",
			"$JS.API.DIRECT.GET.KV_qr.$KV.qr.s1", "_INBOX_sender.x", "_INBOX_api.x",
		},
		"sender": {
			"commands.link.s1", "$KV.qr.s1", "$KV.answers.s1", "$JS.API.DIRECT.GET.KV_answers.$KV.answers.s1", "$JS.API.DIRECT.GET.KV_qr.$KV.qr.s1", "$JS.API.CONSUMER.MSG.NEXT.COMMANDS.linker",
			"$JS.ACK.COMMANDS.linker.1.1.1.1.1", "commands.schedule.c1", "wa.lookup.s1", "events.session.s1.link", "$JS.API.STREAM.MSG.DELETE.FAILED", "$JS.API.STREAM.PURGE.FAILED",
			"_INBOX_linker.x", "_INBOX_api.x",
		},
	}
	subscribe := map[string][]string{
		"api":    {"commands.>", "events.>", "wa.send.>", "$KV.qr.>", "$KV.leases.>", "failed.>", "$JS.API.>"},
		"linker": {"commands.>", "commands.link.>", "wa.send.s1", "events.message.>", "$KV.qr.>", "failed.>", "events.>"},
		"sender": {"commands.>", "$KV.qr.>", "$KV.>", "wa.>", "events.>", "failed.>"},
	}
	for user, subjects := range publish {
		c := dial(t, broker, user)
		for _, subject := range subjects {
			c.mustNotPublish(t, subject)
		}
		for _, subject := range subscribe[user] {
			c.mustNotSubscribe(t, subject)
		}
	}
}

// TestNobodyReadsAnothersInbox: answers hold codes to scan, and what was sent.
func TestNobodyReadsAnothersInbox(t *testing.T) {
	t.Parallel()
	broker := start(t)
	services := []string{"api", "linker", "sender"}
	for _, user := range services {
		c := dial(t, broker, user)
		for _, other := range append(services, "operator") {
			if other != user {
				c.mustNotSubscribe(t, "_INBOX_"+other+".>")
			}
		}
		for _, all := range []string{">", "*.>", "_INBOX.>", "*.*", "_INBOX_" + user} {
			c.mustNotSubscribe(t, all)
		}
	}
}

// TestStrangersAreRefused: without a user, with a wrong password, and with a service's user in the server's own account.
func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	broker := start(t)
	for name, option := range map[string]nats.Option{
		"nobody": nats.Name("nobody"), "a wrong password": nats.UserInfo("api", password("sender")), "an empty password": nats.UserInfo("api", ""),
	} {
		c, err := nats.Connect(broker.ClientURL(), option)
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: got %v, want %v", name, err, nats.ErrAuthorization)
		}
		if c != nil {
			c.Close()
		}
	}
	c := dial(t, broker, "sender")
	c.mustNotPublish(t, "$SYS.REQ.SERVER.PING")
}

// TestTheClusterKnowsTheSameUsers: three servers differ from one in nothing but the cluster.
func TestTheClusterKnowsTheSameUsers(t *testing.T) {
	t.Setenv("NATS_SERVER_NAME", "nats-1")
	t.Setenv("NATS_CLUSTER_PASSWORD", "p-of-route")
	cluster, err := server.ProcessConfigFile("nats/cluster.conf")
	must(t, "read the cluster's configuration", err)
	alone, err := server.ProcessConfigFile("nats/nats.conf")
	must(t, "read the configuration", err)
	if cluster.ServerName != "nats-1" || cluster.Cluster.Name != "broadcaster" || len(cluster.Routes) != 3 || cluster.Cluster.Password != "p-of-route" {
		t.Errorf("the cluster is %+v with routes %v", cluster.Cluster, cluster.Routes)
	}
	names := func(o *server.Options) string {
		var all []string
		for _, user := range o.Users {
			all = append(all, user.Username)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	if names(cluster) != names(alone) || names(alone) == "" {
		t.Errorf("the cluster has the users %s, one server %s", names(cluster), names(alone))
	}
}
