package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/events"
)

// HealthOptions say what a process of the API knows of its own parts.
type HealthOptions struct {
	// Probes are what it cannot work without, by their names, as /readyz asks them.
	Probes map[string]func(ctx context.Context) error
	// Library is the version of the WhatsApp library of this build, LibraryMade when it was made; zero values: the build does not say.
	Library     string
	LibraryMade time.Time
}

// probeTimeout bounds one look at a part: whoever asks whether something hangs must not hang.
const probeTimeout = 2 * time.Second

// The consumers of the queue by which the workers are known.
const (
	consumerOfLinkers = "linker"
	consumerOfSenders = "sender"
)

// PartState is how a part does.
type PartState string

// The states of parts.
const (
	// PartOK: it answers, or waits for work.
	PartOK PartState = "ok"
	// PartBusy: each worker has as much work in hand as it may, and none asks for more.
	PartBusy PartState = "busy"
	// PartUnavailable: it does not answer, or nobody does this work.
	PartUnavailable PartState = "unavailable"
	// PartUnknown: the queue, which knows of it, does not answer.
	PartUnknown PartState = "unknown"
)

// PartView is one part of the service.
type PartView struct {
	Name  string    `json:"name" doc:"database and broker, as /readyz names them; linker and sender, the workers of all processes together."`
	State PartState `json:"state" enum:"ok,busy,unavailable,unknown" doc:"ok: it answers, or waits for work; busy: all workers have their hands full; unavailable: it does not answer, or no worker is there; unknown: the queue would have to say."`
	// The rest is of workers.
	Waiting int        `json:"waiting,omitempty" doc:"Jobs that no worker had yet."`
	InHand  int        `json:"in_hand,omitempty" doc:"Jobs that workers have."`
	Oldest  *time.Time `json:"oldest,omitempty" doc:"When the oldest job that has not ended was queued."`
}

// HealthView is how the service does.
type HealthView struct {
	Parts       []PartView `json:"parts"`
	Version     string     `json:"version" doc:"The version of the process that answers."`
	Library     string     `json:"library,omitempty" doc:"The version of the WhatsApp library; absent: this build does not say."`
	LibraryMade *time.Time `json:"library_made,omitempty" doc:"When the WhatsApp library was made: WhatsApp retires old ones within months."`
}

type healthOutput struct{ Body HealthView }

// getHealth answers also when parts are down, with what is known then: it is asked just then.
func (a *API) getHealth(ctx context.Context, _ *struct{}) (*healthOutput, error) {
	known := a.options.Health
	view := HealthView{Version: a.options.Version, Library: known.Library, LibraryMade: optionalTime(known.LibraryMade)}
	view.Parts = a.probe(ctx)
	limited, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	queues, err := a.options.Jobs.Queues(limited)
	view.Parts = append(view.Parts, workerPart(queues, consumerOfLinkers, err), workerPart(queues, consumerOfSenders, err))
	return &healthOutput{Body: view}, nil
}

// probe asks all parts at once.
func (a *API) probe(ctx context.Context) []PartView {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	parts := []PartView{{Name: "database", State: PartUnknown}, {Name: "broker", State: PartUnknown}}
	var asked sync.WaitGroup
	for i := range parts {
		probe := a.options.Health.Probes[parts[i].Name]
		if probe == nil {
			continue
		}
		asked.Go(func() {
			parts[i].State = PartOK
			if err := probe(ctx); err != nil {
				parts[i].State = PartUnavailable
				a.options.Log.WarnContext(ctx, "part does not answer", "doing", parts[i].Name, "error", err)
			}
		})
	}
	asked.Wait()
	return parts
}

// workerPart tells from its consumer how the workers of a kind do: one that has room asks the queue for jobs, and its request stands there.
func workerPart(queues []events.Queue, consumer string, err error) PartView {
	part := PartView{Name: consumer, State: PartUnknown}
	if err != nil {
		return part
	}
	for _, queue := range queues {
		if queue.Consumer != consumer {
			continue
		}
		part.Waiting, part.InHand, part.Oldest = queue.Pending, queue.InHand, optionalTime(queue.Oldest)
		switch {
		case queue.Asking > 0:
			part.State = PartOK
		case queue.InHand > 0:
			part.State = PartBusy
		default:
			part.State = PartUnavailable
		}
	}
	return part
}

func contractOfHealth() map[string]described {
	return map[string]described{
		"get-health": {tag: "Jobs", text: "Says how the parts of the service do, for a page that people read. It answers 200 also when parts are down; an orchestrator asks /readyz.",
			answer: HealthView{Parts: []PartView{{Name: "database", State: PartOK}, {Name: "broker", State: PartOK}, {Name: consumerOfLinkers, State: PartOK},
				{Name: consumerOfSenders, State: PartBusy, Waiting: 3, InHand: 5, Oldest: pointer(storyTime())}},
				Version: "1.0.0", Library: "v0.0.0-20260201000000-0123456789ab", LibraryMade: pointer(storyTime())}},
	}
}

// registerHealth lists the route of the service's health.
func (a *API) registerHealth(doors huma.API) {
	huma.Register(doors, operation(http.MethodGet, "/v1/health", "get-health", "Get how the parts of the service do", http.StatusOK), a.getHealth)
}
