package fleet

import (
	"context"
	"fmt"
	"strings"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/wasim/control"
)

// Crowd are the linked phones of a fleet and their campaigns.
type Crowd struct {
	Fleet     *Fleet
	Sessions  []client.Session
	Campaigns []client.Campaign
}

// PhoneNumber is that of the phone behind a session, counted from 1.
func PhoneNumber(number int) string { return fmt.Sprintf("+549115000%04d", number) }

// Link makes simulated phones and pairs each by the QR that the API shows; it returns when all are connected.
func (c *Crowd) Link(ctx context.Context, phones int) error {
	for number := 1; number <= phones; number++ {
		if err := c.link(ctx, number); err != nil {
			return fmt.Errorf("link phone %d: %w", number, err)
		}
	}
	return c.AwaitConnected(ctx)
}

func (c *Crowd) link(ctx context.Context, number int) error {
	phone, api := PhoneNumber(number), c.Fleet.API
	if err := c.Fleet.Simulator.NewPhone(ctx, control.NewPhone{Number: phone}); err != nil {
		return err
	}
	created, err := api.CreateSession(ctx, fmt.Sprintf("user-%d", number), "")
	if err != nil {
		return err
	}
	if _, err := api.StartLink(ctx, created.ID, "qr", ""); err != nil {
		return err
	}
	var code string
	err = Await(ctx, "a QR is shown", func(ctx context.Context) (bool, error) {
		link, err := api.Link(ctx, created.ID)
		if err != nil || link.Prompt == nil {
			return false, err
		}
		code = link.Prompt.QR
		return code != "", nil
	})
	if err != nil {
		return err
	}
	if err := c.Fleet.Simulator.ScanQR(ctx, phone, code); err != nil {
		return err
	}
	c.Sessions = append(c.Sessions, created)
	return Await(ctx, "the session is ready", func(ctx context.Context) (bool, error) {
		found, err := api.Session(ctx, created.ID)
		return found.State == "ready", err
	})
}

// Send starts one campaign per session, each to people of its own.
func (c *Crowd) Send(ctx context.Context, recipients int) error {
	for number, session := range c.Sessions {
		var audience strings.Builder
		audience.WriteString("nombre,telefono\n")
		for i := range recipients {
			fmt.Fprintf(&audience, "Paciente %d,+54911%08d\n", i+1, 40_000_000+number*recipients+i)
		}
		created, err := c.Fleet.API.UploadCampaign(ctx, client.NewCampaign{SessionID: session.ID, Name: fmt.Sprint("Campaign ", number+1),
			Text: "Hola {{nombre}}, su turno es mañana."}, strings.NewReader(audience.String()))
		if err != nil {
			return fmt.Errorf("create campaign %d: %w", number+1, err)
		}
		c.Campaigns = append(c.Campaigns, created)
	}
	return nil
}

// Connected is how many devices are.
func (c *Crowd) Connected(ctx context.Context) (int, error) {
	books, err := c.Fleet.Simulator.Books(ctx)
	return books.Connections, err
}

// AwaitConnected waits until every linked phone's device is connected.
func (c *Crowd) AwaitConnected(ctx context.Context) error {
	return Await(ctx, "all sessions are connected", func(ctx context.Context) (bool, error) {
		connected, err := c.Connected(ctx)
		return connected == len(c.Sessions), err
	})
}

// Completed tells whether every campaign is.
func (c *Crowd) Completed(ctx context.Context) (bool, error) {
	for _, sent := range c.Campaigns {
		current, err := c.Fleet.API.Campaign(ctx, sent.ID)
		if err != nil || current.State != "completed" {
			return false, err
		}
	}
	return true, nil
}

// Tally is what two books say of the campaigns.
type Tally struct {
	Recipients int
	// Lost never arrived at their contact. Misrecorded did, and the store says otherwise.
	Lost, Misrecorded int
}

// Count compares what was planned with what the contacts have.
func (c *Crowd) Count(ctx context.Context) (Tally, error) {
	var tally Tally
	arrived := map[string]bool{}
	for message, err := range c.Fleet.Simulator.Everything(ctx) {
		if err != nil {
			return tally, err
		}
		arrived[message.To+" "+message.ID] = true
	}
	for _, sent := range c.Campaigns {
		for delivery, err := range c.Fleet.API.Deliveries(ctx, sent.ID, "") {
			if err != nil {
				return tally, err
			}
			tally.Recipients++
			switch {
			case !arrived[delivery.Phone+" "+delivery.ID]:
				tally.Lost++
			case delivery.State != "sent" && delivery.State != "delivered" && delivery.State != "read":
				tally.Misrecorded++
			}
		}
	}
	unknown, err := c.Fleet.Simulator.Unknown(ctx)
	if err == nil && len(unknown) > 0 {
		err = fmt.Errorf("the simulator did not know %d stanzas, which makes its numbers worthless: %s", len(unknown), strings.Join(unknown, "; "))
	}
	return tally, err
}
