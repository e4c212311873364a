package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/examples"
)

// text is the message of every campaign of the demo; its placeholders are columns of both audiences.
const text = "Hola {{nombre}}, le recordamos su turno del {{turno}}. Responda BAJA si no desea recibir más avisos."

// send creates one campaign per session and follows all of them until they have ended.
func (s *stage) send(ctx context.Context) error {
	for number, session := range s.sessions {
		created, err := s.api.UploadCampaign(ctx, client.NewCampaign{
			SessionID: session.ID, Name: "Demo campaign " + strconv.Itoa(number+1), Text: text,
		}, s.audience(number))
		if err != nil {
			return fmt.Errorf("create campaign %d: %w", number+1, err)
		}
		s.say("Campaign %d: %d recipients, %d rows refused.\n", number+1, created.Recipients, created.Rejected)
		s.campaigns = append(s.campaigns, created)
	}
	if err := s.explainRejections(ctx); err != nil {
		return err
	}
	progress := s.newProgress()
	group, ctx := errgroup.WithContext(ctx)
	for number := range s.campaigns {
		group.Go(func() error { return s.follow(ctx, number, progress.bar(number, s.campaigns[number].Recipients)) })
	}
	err := group.Wait()
	progress.wait()
	return err
}

// maxRejectionsShown bounds what a person has to read.
const maxRejectionsShown = 5

func (s *stage) explainRejections(ctx context.Context) error {
	shown := 0
	for rejection, err := range s.api.Rejections(ctx, s.campaigns[0].ID) {
		if err != nil {
			return fmt.Errorf("list rejections: %w", err)
		}
		if shown++; shown > maxRejectionsShown {
			s.say("  … and %d more rows.\n", s.campaigns[0].Rejected-maxRejectionsShown)
			return nil
		}
		s.say("  row %d, column %s, %q: %s\n", rejection.Row, rejection.Column, rejection.Value, rejection.Reason)
	}
	return nil
}

// follow watches one campaign until it has ended; a pause is a failure here, as nothing in the demo gives a reason for one.
func (s *stage) follow(ctx context.Context, number int, bar progressBar) error {
	return poll(ctx, func() (bool, error) {
		current, err := s.api.Campaign(ctx, s.campaigns[number].ID)
		if err != nil {
			return false, err
		}
		s.campaigns[number] = current
		bar.set(current.Counts.Settled())
		if current.State == "paused" || current.State == "failed" {
			return false, fmt.Errorf("campaign %d is %s: %s", number+1, current.State, current.Reason)
		}
		return current.Ended(), nil
	})
}

// awaitReceipts waits until every message that was sent has been read: each simulated contact confirms what it decrypted.
func (s *stage) awaitReceipts(ctx context.Context) error {
	for number := range s.campaigns {
		err := await(ctx, func() (bool, error) {
			current, err := s.api.Campaign(ctx, s.campaigns[number].ID)
			if err != nil {
				return false, err
			}
			s.campaigns[number] = current
			return current.Counts.Sent == 0 && current.Counts.Delivered == 0, nil
		})
		if err != nil {
			return fmt.Errorf("wait for the receipts of campaign %d: %w", number+1, err)
		}
	}
	return nil
}

// audience gives the file of a session's campaign: the example, or this session's share of a generated one.
func (s *stage) audience(number int) io.Reader {
	if s.options.Recipients == 0 {
		return bytes.NewReader(examples.Contacts)
	}
	share := s.options.Recipients / s.options.Sessions
	first := number * share
	if number == s.options.Sessions-1 {
		share = s.options.Recipients - first // the last one takes what does not divide
	}
	reader, writer := io.Pipe()
	go func() { _ = writer.CloseWithError(generate(writer, first, share)) }() // ends when the file is read or its reader closed
	return reader
}

// generate writes an audience of different, valid mobile numbers of Buenos Aires.
func generate(out io.Writer, first, count int) error {
	names := []string{"Ana", "José", "María", "Martín", "Lucía", "Íñigo", "Sofía", "Ramón", "Zoë", "Nuñez"}
	if _, err := io.WriteString(out, "nombre,telefono,turno\n"); err != nil {
		return fmt.Errorf("write audience: %w", err)
	}
	for i := first; i < first+count; i++ {
		_, err := fmt.Fprintf(out, "%s %d,+54911%08d,%d de marzo\n", names[i%len(names)], i, 40000000+i, 1+i%28)
		if err != nil {
			return fmt.Errorf("write audience: %w", err)
		}
	}
	return nil
}

// progress shows one bar per campaign on a terminal, and plain lines elsewhere.
type progress struct {
	bars *mpb.Progress
	say  func(format string, arguments ...any)
}

type progressBar struct {
	set func(settled int)
}

func (s *stage) newProgress() *progress {
	if !s.options.Terminal {
		return &progress{say: s.say}
	}
	return &progress{bars: mpb.New(mpb.WithOutput(s.options.Out), mpb.WithWidth(40)), say: s.say}
}

func (p *progress) bar(number, total int) progressBar {
	if p.bars == nil {
		return progressBar{set: p.lines(number, total)}
	}
	bar := p.bars.AddBar(int64(total),
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("Campaign %d ", number+1))),
		mpb.AppendDecorators(decor.CountersNoUnit("%d / %d")))
	return progressBar{set: func(settled int) { bar.SetCurrent(int64(settled)) }}
}

// lines prints every tenth of the way once.
func (p *progress) lines(number, total int) func(int) {
	const steps = 10
	printed := 0
	return func(settled int) {
		if step := settled * steps / max(total, 1); step > printed {
			printed = step
			p.say("Campaign %d: %d of %d\n", number+1, settled, total)
		}
	}
}

func (p *progress) wait() {
	if p.bars != nil {
		p.bars.Shutdown()
	}
}
