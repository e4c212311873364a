package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dannsalud/broadcaster/cmd/internal/fleet"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// harm is how a fault begins and how it ends.
type harm struct{ begin, end func(context.Context) error }

// suffer does one fault from beginning to end. Where sessions must move, it lasts until they have.
func (s *story) suffer(ctx context.Context, next fault) error {
	victim, held, err := s.victim(ctx, next)
	if err != nil {
		return err
	}
	s.say("%s%s", next, s.naming(victim, held))
	harm := s.harm(next, victim)
	began := time.Now()
	if err := harm.begin(ctx); err != nil {
		return err
	}
	if next.Kind.failsOver() {
		if err := s.awaitFailover(ctx, victim, held, began); err != nil {
			return errors.Join(err, harm.end(ctx))
		}
	}
	if err := pause(ctx, next.Lasts-time.Since(began)); err != nil {
		return err
	}
	return harm.end(ctx)
}

func (s *story) naming(victim string, held []string) string {
	if victim == "" {
		return ""
	}
	return fmt.Sprintf(" [%s, which holds %d sessions]", victim, len(held))
}

// victim gives the sender that a fault is about: of those that hold sessions, once all are connected, the one whose turn it is. held are the
// phones of its sessions.
func (s *story) victim(ctx context.Context, next fault) (name string, held []string, err error) {
	if next.Sender == 0 {
		return "", nil, nil
	}
	holders := map[string][]string{}
	err = fleet.Await(ctx, "all sessions are connected", func(ctx context.Context) (bool, error) {
		books, err := s.fleet.Simulator.Books(ctx)
		if err != nil {
			return false, err
		}
		clear(holders)
		connected := 0
		for _, device := range books.Devices {
			if carrier := s.network.carrier(device.Remote); carrier != "" && device.Connected {
				holders[carrier] = append(holders[carrier], device.Number)
				connected++
			}
		}
		return connected == s.options.sessions, nil
	})
	if err != nil {
		return "", nil, err
	}
	var names []string
	for holder := range holders {
		names = append(names, holder)
	}
	slices.Sort(names)
	name = names[(next.Sender-1)%len(names)]
	return name, holders[name], nil
}

// awaitFailover waits until the sessions that a sender held are connected from others, and notes how long each took.
func (s *story) awaitFailover(ctx context.Context, victim string, held []string, began time.Time) error {
	waiting := slices.Clone(held)
	return fleet.Await(ctx, "the victim's sessions are connected elsewhere", func(ctx context.Context) (bool, error) {
		books, err := s.fleet.Simulator.Books(ctx)
		if err != nil {
			return false, err
		}
		for _, device := range books.Devices {
			if carrier := s.network.carrier(device.Remote); !device.Connected || carrier == "" || carrier == victim {
				continue
			}
			if at := slices.Index(waiting, device.Number); at >= 0 {
				waiting = slices.Delete(waiting, at, at+1)
				s.failovers = append(s.failovers, time.Since(began).Seconds())
			}
		}
		return len(waiting) == 0, nil
	})
}

// harm gives what a fault does. A kind that nobody wrote a case for fails the run.
func (s *story) harm(next fault, victim string) harm {
	ways := s.network.of(victim)
	does := map[kind]func() harm{
		killSender:    func() harm { return s.outage(victim) },
		killAPI:       func() harm { return s.outage("api") },
		killLinker:    func() harm { return s.outage("linker") },
		freezeSender:  func() harm { return s.freeze(victim) },
		isolateSender: func() harm { return impair(ways.broker, impairment{Cut: true}) },
		muteSender:    func() harm { return impair(ways.broker, impairment{Hang: true}) },
		slowBroker:    func() harm { return impair(ways.broker, impairment{Delay: next.Delay}) },
		cutDatabase:   func() harm { return impair(ways.database, impairment{Cut: true}) },
		muteDatabase:  func() harm { return impair(ways.database, impairment{Hang: true}) },
		cutWhatsApp:   func() harm { return s.noted(victim, impair(ways.whatsapp, impairment{Cut: true})) },
		muteWhatsApp:  func() harm { return s.noted(victim, impair(ways.whatsapp, impairment{Hang: true})) },
		slowWhatsApp:  func() harm { return s.noted(victim, impair(ways.whatsapp, impairment{Delay: next.Delay})) },
		killBroker:    func() harm { return s.brokerOutage() },
		killDatabase:  func() harm { return s.databaseOutage() },
		fillBroker:    func() harm { return s.fill("nats-server", s.brokerOutage()) },
		fillDatabase:  func() harm { return s.fill("ferret", s.databaseOutage()) },
	}[next.Kind]
	if does != nil {
		return does()
	}
	if rules := whatsAppRules(next); len(rules) > 0 {
		return s.scripted(rules)
	}
	return harm{begin: func(context.Context) error { return fmt.Errorf("nobody knows how to %s", next.Kind) }}
}

func nothing(context.Context) error { return nil }

// impair does harm to a way; a way that does not exist, to a database of somebody else's, cannot be harmed.
func impair(way *proxy, state impairment) harm {
	if way == nil {
		return harm{nothing, nothing}
	}
	return harm{
		begin: func(context.Context) error { way.impair(state); return nil },
		end:   func(context.Context) error { way.impair(impairment{}); return nil },
	}
}

// noted notes when a service could say nothing to WhatsApp.
func (s *story) noted(service string, done harm) harm {
	return harm{
		begin: func(ctx context.Context) error { s.network.beginMute(service); return done.begin(ctx) },
		end:   func(ctx context.Context) error { defer s.network.endMute(service); return done.end(ctx) },
	}
}

// outage kills a service, and starts it again, as an orchestrator does.
func (s *story) outage(name string) harm {
	return harm{
		begin: s.kill(name),
		end: func(ctx context.Context) error {
			if err := s.fleet.Service(name); err != nil {
				return err
			}
			return s.fleet.AwaitReady(ctx, name)
		},
	}
}

func (s *story) kill(name string) func(context.Context) error {
	return func(context.Context) error {
		found, err := s.fleet.Process(name)
		if err == nil {
			found.Kill()
		}
		return err
	}
}

func (s *story) brokerOutage() harm {
	return harm{begin: s.kill("nats-server"), end: func(context.Context) error { return s.fleet.StartBroker() }}
}

// databaseOutage leaves a database of somebody else's alone.
func (s *story) databaseOutage() harm {
	if s.fleet.Database == nil {
		return harm{nothing, nothing}
	}
	return harm{begin: s.kill("ferret"), end: func(context.Context) error { return s.fleet.StartDatabase() }}
}

// fill lets a server's files grow no more; when there is room again the server is started anew.
func (s *story) fill(name string, outage harm) harm {
	if name == "ferret" && s.fleet.Database == nil {
		return outage // it does nothing to a database of somebody else's
	}
	return harm{
		begin: func(context.Context) error {
			found, err := s.fleet.Process(name)
			if err != nil {
				return err
			}
			return fillDisk(found.PID())
		},
		end: func(ctx context.Context) error {
			if err := outage.begin(ctx); err != nil {
				return err
			}
			return outage.end(ctx)
		},
	}
}

// freeze stops a process where it is, and lets it go on.
func (s *story) freeze(name string) harm {
	signal := func(thaw bool) func(context.Context) error {
		return func(context.Context) error {
			found, err := s.fleet.Process(name)
			if err != nil {
				return err
			}
			return freezeProcess(found.PID(), thaw)
		}
	}
	return s.noted(name, harm{begin: signal(false), end: signal(true)})
}

// scripted puts rules of the simulator in force for the time of a fault.
func (s *story) scripted(rules []script.Rule) harm {
	var ids []int
	return harm{
		begin: func(ctx context.Context) error {
			for _, rule := range rules {
				running, err := s.fleet.Simulator.Script(ctx, rule)
				if err != nil {
					return err
				}
				ids = append(ids, running.ID)
			}
			return nil
		},
		end: func(ctx context.Context) error {
			var err error
			for _, id := range ids {
				err = errors.Join(err, s.fleet.Simulator.StopRule(ctx, id))
			}
			return err
		},
	}
}

// whatsAppRules are what the simulator does wrong; none for faults that are not its own.
func whatsAppRules(next fault) []script.Rule {
	return map[kind][]script.Rule{
		streamErrors:   {{On: script.Clock, Do: script.EndStream(503)}},
		restartStreams: {{On: script.Clock, Do: script.EndStream(515)}},
		refuseLogins:   {{On: script.Upgrade, Do: script.Status(503)}, {On: script.Clock, Do: script.CutConnection()}},
		cutAfterSend:   {{On: script.Message, Skip: 2, Times: 3, Do: script.CutConnection().Then()}},
		loseMessages:   {{On: script.Message, Skip: 2, Times: 3, Do: script.CutConnection()}},
		loseAnswers:    {{On: script.Message, Skip: 2, Times: 3, Do: script.LoseReply()}},
		silence:        {{On: script.Message, Times: 1, Do: script.GoSilent()}},
	}[next.Kind]
}
