package linker

import (
	"context"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// Answers has what people gave for a prompt. Each is taken once.
type Answers interface {
	Take(ctx context.Context, id session.ID) (answer session.Answer, found bool, err error)
}

const (
	// answerEvery is how often it is looked whether a person answered the question for a passkey.
	answerEvery = time.Second
	// answerTimeout bounds how long WhatsApp may take for an answer.
	answerTimeout = 20 * time.Second
)

// askPasskey shows WhatsApp's question for a passkey. The codes that were shown before are void.
func (a *attempt) askPasskey(ctx context.Context, options []byte) error {
	if _, _, err := a.linker.options.Answers.Take(ctx, a.job.SessionID); err != nil { // what was given before it was asked
		return err
	}
	return a.show(ctx, session.LinkEvent{Kind: session.EventPasskey, For: a.linker.options.Timing.Passkey}, session.Prompt{Passkey: options})
}

// compareCode shows the code that has to be the same on the phone. When WhatsApp asks for no comparison it is confirmed at once.
func (a *attempt) compareCode(ctx context.Context, code string) error {
	event := session.LinkEvent{Kind: session.EventConfirm, For: a.linker.options.Timing.Passkey}
	if code != "" {
		return a.show(ctx, event, session.Prompt{Code: code})
	}
	a.clearPrompt(ctx)
	if err := a.step(ctx, event); err != nil {
		return err
	}
	a.answer(ctx, session.Answer{LinkID: a.job.LinkID})
	return nil
}

// awaitsAnswer tells whether a person has something to answer.
func (a *attempt) awaitsAnswer() bool {
	return a.state == session.LinkPasskeyRequired || a.state == session.LinkPasskeyConfirm
}

// takeAnswer looks whether a person answered, and hands it on. An answer to an earlier link is dropped.
func (a *attempt) takeAnswer(ctx context.Context) error {
	answer, found, err := a.linker.options.Answers.Take(ctx, a.job.SessionID)
	switch {
	case err != nil:
		a.log.WarnContext(ctx, "answer of a person could not be read and is looked for again", "class", fault.Of(err).Label(), "error", err)
		return nil
	case !found || answer.LinkID != a.job.LinkID:
		return nil
	case (len(answer.Passkey) > 0) != (a.state == session.LinkPasskeyRequired):
		a.log.InfoContext(ctx, "answer ignored", "state", string(a.state))
		return nil
	}
	a.answer(ctx, answer)
	return nil
}

// answer gives WhatsApp an answer beside the attempt, which goes on to hear what comes of it.
func (a *attempt) answer(ctx context.Context, answer session.Answer) {
	a.answering.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		give := a.pairing.ConfirmPasskey
		if len(answer.Passkey) > 0 {
			give = func(ctx context.Context) error { return a.pairing.AnswerPasskey(ctx, answer.Passkey) }
		}
		if err := give(ctx); err != nil {
			a.log.WarnContext(ctx, "answer was not accepted", "class", fault.Of(err).Label(), "error", err)
			select {
			case a.refusals <- session.PairRefused{Reason: session.ReasonPasskeyFailed, Detail: "passkey"}:
			default: // one is enough
			}
		}
	})
}

// showAgain keeps a prompt alive that may be needed for longer than prompts are kept, and brings one back that was lost with the memory of a queue that
// was started again. One that could not be shown lives until the next time.
func (a *attempt) showAgain(ctx context.Context) {
	prompts := a.state == session.LinkQR || a.state == session.LinkCode || a.awaitsAnswer()
	if !prompts || a.prompt.Deadline.Before(time.Now()) {
		return
	}
	if err := a.linker.options.Prompts.Show(ctx, a.job.SessionID, a.prompt); err != nil {
		a.log.WarnContext(ctx, "prompt could not be kept and is shown again later", "class", fault.Of(err).Label(), "error", err)
	}
}
