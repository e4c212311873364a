package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dannsalud/broadcaster/client"
)

// Summary is what the main job came to. Its JSON form is the last line of `broadcaster demo --json`.
type Summary struct {
	Sessions   int `json:"sessions"`
	Campaigns  int `json:"campaigns"`
	Recipients int `json:"recipients"`
	// Sent, Delivered and Read count the messages that came at least so far.
	Sent      int `json:"sent"`
	Delivered int `json:"delivered"`
	Read      int `json:"read"`
	Failed    int `json:"failed"`
	// Skipped counts rows of the audience that were refused, and recipients left out.
	Skipped int `json:"skipped"`
	// Lost and Duplicated are counted by the simulator: messages that never arrived at their contact, and messages that a contact saw
	// more than once.
	Lost       int `json:"lost"`
	Duplicated int `json:"duplicated"`
	// QRAfterReady counts codes that came when a session was ready already; ReadyEvents the links that were reported ready.
	QRAfterReady int     `json:"qr_after_ready"`
	ReadyEvents  int     `json:"ready_events"`
	Seconds      float64 `json:"seconds"`
}

func (s *stage) summarise(ctx context.Context) (Summary, error) {
	summary := Summary{Sessions: len(s.sessions), Campaigns: len(s.campaigns), Seconds: time.Since(s.began).Seconds()}
	for _, campaign := range s.campaigns {
		counts := campaign.Counts
		summary.Recipients += campaign.Recipients
		read := counts.Read + counts.Replied
		summary.Read += read
		summary.Delivered += counts.Delivered + read
		summary.Sent += counts.Sent + counts.Delivered + read
		summary.Failed += counts.Failed
		summary.Skipped += campaign.Rejected + counts.Skipped
		if err := s.audit(ctx, campaign, &summary); err != nil {
			return Summary{}, err
		}
	}
	summary.Duplicated = s.simulator.Books().Duplicated
	counters, err := s.product.Counters("wa_qr_ignored_total", "wa_hosted_qr_ignored_total")
	summary.QRAfterReady, summary.ReadyEvents = int(counters), int(s.readyEvents.Load())
	return summary, err
}

// audit asks the simulator for every delivery that should have arrived.
func (s *stage) audit(ctx context.Context, campaign client.Campaign, summary *Summary) error {
	for delivery, err := range s.api.Deliveries(ctx, campaign.ID, "") {
		if err != nil {
			return fmt.Errorf("list deliveries: %w", err)
		}
		if delivery.State == "skipped" || delivery.State == "failed" {
			continue
		}
		if !s.arrived(delivery) {
			summary.Lost++
		}
	}
	return nil
}

func (s *stage) arrived(delivery client.Delivery) bool {
	for _, message := range s.simulator.Contact(delivery.Phone).Received() {
		if message.ID == delivery.ID {
			return true
		}
	}
	return false
}

func (s Summary) write(options Options) error {
	_, err := fmt.Fprintf(options.Out, "\n%d phones linked, %d campaigns sent in %.1f s.\n"+
		"%d recipients: %d sent, %d delivered, %d read, %d failed; %d rows or recipients left out.\n"+
		"On the phones: %d lost, %d seen twice.\n",
		s.Sessions, s.Campaigns, s.Seconds, s.Recipients, s.Sent, s.Delivered, s.Read, s.Failed, s.Skipped, s.Lost, s.Duplicated)
	if err != nil || !options.JSON {
		return err
	}
	line, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the summary: %w", err)
	}
	_, err = fmt.Fprintf(options.Out, "%s\n", line)
	return err
}
