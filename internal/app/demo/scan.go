package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/dannsalud/broadcaster/client"
)

// link creates a session, asks for a link, and scans the code that the API serves with a simulated phone, as a person would.
func (s *stage) link(ctx context.Context, number int) (client.Session, error) {
	phone, err := s.simulator.NewPhone(phoneNumber(number))
	if err != nil {
		return client.Session{}, err
	}
	created, err := s.api.CreateSession(ctx, fmt.Sprintf("demo-user-%d", number), fmt.Sprintf("Demo phone %d", number))
	if err != nil {
		return client.Session{}, err
	}
	if _, err := s.api.StartLink(ctx, created.ID, "qr", ""); err != nil {
		return client.Session{}, err
	}
	if _, err := s.awaitLink(ctx, created.ID, func(link client.Link) bool { return link.Prompt != nil && link.Prompt.QR != "" }); err != nil {
		return client.Session{}, err
	}
	image, err := s.api.QRImage(ctx, created.ID)
	if err != nil {
		return client.Session{}, err
	}
	text, err := readQR(image)
	if err != nil {
		return client.Session{}, err
	}
	if err := phone.ScanQR(ctx, text); err != nil {
		return client.Session{}, fmt.Errorf("scan the QR: %w", err)
	}
	if _, err := s.awaitLink(ctx, created.ID, func(link client.Link) bool { return link.State == "ready" }); err != nil {
		return client.Session{}, err
	}
	linked, err := s.awaitSession(ctx, created.ID, "ready")
	if err != nil {
		return client.Session{}, err
	}
	s.say("Linked phone %d by its QR (%s).\n", number, linked.Phone)
	return linked, nil
}

// pollEvery is how often the demo asks the API, and patience how long it waits for one step.
const (
	pollEvery = 20 * time.Millisecond
	patience  = 2 * time.Minute
)

func (s *stage) awaitLink(ctx context.Context, session string, reached func(client.Link) bool) (client.Link, error) {
	var last client.Link
	err := await(ctx, func() (bool, error) {
		link, err := s.api.Link(ctx, session)
		if err != nil {
			return false, err
		}
		last = link
		if link.Ended() && link.State != "ready" {
			return false, fmt.Errorf("the link ended as %s (%s)", link.State, link.Reason)
		}
		return reached(link), nil
	})
	if err != nil {
		return last, fmt.Errorf("wait for the link, now %s: %w", last.State, err)
	}
	return last, nil
}

func (s *stage) awaitSession(ctx context.Context, id, state string) (client.Session, error) {
	var last client.Session
	err := await(ctx, func() (bool, error) {
		found, err := s.api.Session(ctx, id)
		last = found
		return err == nil && found.State == state, err
	})
	if err != nil {
		return last, fmt.Errorf("wait until the session is %s, now %s: %w", state, last.State, err)
	}
	return last, nil
}

// errPatience ends a wait that took longer than any step of the demo may.
var errPatience = errors.New("it took too long")

// await asks until the answer is yes or an error, for as long as a step of the demo may take.
func await(ctx context.Context, reached func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	return poll(ctx, reached)
}

// poll asks until the answer is yes or an error. The demo is a program outside of the product and has only its API to look at.
func poll(ctx context.Context, reached func() (bool, error)) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		done, err := reached()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// readQR decodes a code from the pixels of its image, as a phone's camera does.
func readQR(image []byte) (string, error) {
	decoded, err := png.Decode(bytes.NewReader(image))
	if err != nil {
		return "", fmt.Errorf("decode the QR image: %w", err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(decoded)
	if err != nil {
		return "", fmt.Errorf("read the QR image: %w", err)
	}
	// The picture has nothing but the code: searching it as a photograph finds a wrong pattern now and then.
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
	if err != nil {
		return "", fmt.Errorf("find a QR in the image: %w", err)
	}
	return result.GetText(), nil
}
