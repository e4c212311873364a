package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// Client calls the control API of a simulator in another process.
type Client struct {
	base string
	http *http.Client
}

// NewClient makes a client for a base URL such as "http://127.0.0.1:8090"; a nil HTTP client means the default one.
func NewClient(base string, client *http.Client) *Client {
	if client == nil {
		client = http.DefaultClient
	}
	return &Client{base: strings.TrimSuffix(base, "/") + "/v1/", http: client}
}

// Server tells where the simulator is and which key to trust.
func (c *Client) Server(ctx context.Context) (Info, error) {
	return call[Info](ctx, c, "GET", "server", nil)
}

// Books gives the simulator's totals.
func (c *Client) Books(ctx context.Context) (wasim.Books, error) {
	return call[wasim.Books](ctx, c, "GET", "books", nil)
}

// Unknown lists the stanzas that the simulator did not know.
func (c *Client) Unknown(ctx context.Context) ([]string, error) {
	return call[[]string](ctx, c, "GET", "unknown", nil)
}

// SetLatency changes how long stanzas take to the clients.
func (c *Client) SetLatency(ctx context.Context, latency time.Duration) error {
	return c.do(ctx, "PUT", "latency", latencyBody{script.Duration(latency)})
}

// NewPhone makes a phone.
func (c *Client) NewPhone(ctx context.Context, phone NewPhone) error {
	return c.do(ctx, "POST", "phones", phone)
}

// Phone shows a phone.
func (c *Client) Phone(ctx context.Context, number string) (PhoneState, error) {
	return call[PhoneState](ctx, c, "GET", phonePath(number, ""), nil)
}

// ScanQR lets a phone scan a QR code; it returns when the device has logged in.
func (c *Client) ScanQR(ctx context.Context, number, qr string) error {
	return c.do(ctx, "POST", phonePath(number, "/scan"), qrBody{qr})
}

// EnterCode types an 8-character code on a phone; it returns when the device has logged in.
func (c *Client) EnterCode(ctx context.Context, number, code string) error {
	return c.do(ctx, "POST", phonePath(number, "/code"), codeBody{code})
}

// AskPasskey makes the phone's next link by QR ask for a passkey.
func (c *Client) AskPasskey(ctx context.Context, number string) error {
	return c.do(ctx, "POST", phonePath(number, "/passkey"), nil)
}

// RespondPasskey answers WebAuthn request options with the passkey of AskPasskey.
func (c *Client) RespondPasskey(ctx context.Context, number string, options []byte) (*types.WebAuthnResponse, error) {
	return call[*types.WebAuthnResponse](ctx, c, "POST", phonePath(number, "/passkey/response"), optionsBody{options})
}

// SetPushName changes the name of a phone's account.
func (c *Client) SetPushName(ctx context.Context, number, name string) error {
	return c.do(ctx, "PUT", phonePath(number, "/push-name"), nameBody{name})
}

// SendFromPhone writes a text from the phone itself; it returns the message's id.
func (c *Client) SendFromPhone(ctx context.Context, number, to, text string) (string, error) {
	sent, err := call[idBody](ctx, c, "POST", phonePath(number, "/messages"), letterBody{to, text})
	return sent.ID, err
}

// CopiesOf lists the copies that a phone has of what its linked devices sent.
func (c *Client) CopiesOf(ctx context.Context, number string) ([]wasim.Message, error) {
	return call[[]wasim.Message](ctx, c, "GET", phonePath(number, "/sent"), nil)
}

// Unlink removes a linked device.
func (c *Client) Unlink(ctx context.Context, number string, device int) error {
	return c.do(ctx, "DELETE", phonePath(number, "/devices/"+strconv.Itoa(device)), nil)
}

// Declare says what a contact is like.
func (c *Client) Declare(ctx context.Context, number string, profile wasim.Profile) error {
	return c.do(ctx, "PUT", "contacts/"+url.PathEscape(number), profile)
}

// Received lists what a contact received and could read.
func (c *Client) Received(ctx context.Context, number string) ([]wasim.Message, error) {
	return call[[]wasim.Message](ctx, c, "GET", "contacts/"+url.PathEscape(number)+"/received", nil)
}

// Undecrypted lists what arrived at a contact but could not be read yet.
func (c *Client) Undecrypted(ctx context.Context, number string) ([]wasim.Message, error) {
	return call[[]wasim.Message](ctx, c, "GET", "contacts/"+url.PathEscape(number)+"/undecrypted", nil)
}

// Sent lists what a contact wrote.
func (c *Client) Sent(ctx context.Context, number string) ([]wasim.Sent, error) {
	return call[[]wasim.Sent](ctx, c, "GET", "contacts/"+url.PathEscape(number)+"/sent", nil)
}

// Send writes a text from a contact to an account; it returns the message's id.
func (c *Client) Send(ctx context.Context, number, to, text string) (string, error) {
	sent, err := call[idBody](ctx, c, "POST", "contacts/"+url.PathEscape(number)+"/messages", letterBody{to, text})
	return sent.ID, err
}

// Everything streams what all contacts received, without bodies. An error ends it.
func (c *Client) Everything(ctx context.Context) iter.Seq2[wasim.Message, error] {
	return func(yield func(wasim.Message, error) bool) {
		response, err := c.request(ctx, "GET", "received", nil)
		if err != nil {
			yield(wasim.Message{}, err)
			return
		}
		defer func() { _ = response.Body.Close() }()
		for decoder := json.NewDecoder(response.Body); ; {
			var message wasim.Message
			err := decoder.Decode(&message)
			if errors.Is(err, io.EOF) || !yield(message, err) || err != nil {
				return
			}
		}
	}
}

// Script puts a fault in force.
func (c *Client) Script(ctx context.Context, rule script.Rule) (RuleState, error) {
	return call[RuleState](ctx, c, "POST", "rules", rule)
}

// Rules lists the faults in force.
func (c *Client) Rules(ctx context.Context) ([]RuleState, error) {
	return call[[]RuleState](ctx, c, "GET", "rules", nil)
}

// Rule shows a fault in force.
func (c *Client) Rule(ctx context.Context, id int) (RuleState, error) {
	return call[RuleState](ctx, c, "GET", "rules/"+strconv.Itoa(id), nil)
}

// StopRule takes a fault out of force.
func (c *Client) StopRule(ctx context.Context, id int) error {
	return c.do(ctx, "DELETE", "rules/"+strconv.Itoa(id), nil)
}

func phonePath(number, rest string) string { return "phones/" + url.PathEscape(number) + rest }

// call makes a request and decodes the answer.
func call[Answer any](ctx context.Context, c *Client, method, path string, body any) (Answer, error) {
	var answer Answer
	response, err := c.request(ctx, method, path, body)
	if err != nil {
		return answer, err
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return answer, fmt.Errorf("read answer to %s %s: %w", method, path, err)
	}
	return answer, nil
}

// do makes a request whose answer does not matter.
func (c *Client) do(ctx context.Context, method, path string, body any) error {
	response, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// request makes a request; an error answer is returned as an error.
func (c *Client) request(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		content = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the simulator: %w", err)
	}
	if response.StatusCode < 300 {
		return response, nil
	}
	defer func() { _ = response.Body.Close() }()
	var answer problem
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Error == "" {
		return nil, fmt.Errorf("the simulator answered %s to %s %s", response.Status, method, path)
	}
	return nil, readError(answer)
}
