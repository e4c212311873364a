package linker

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/session"
)

// give does what the API does with an answer of a person.
func (s *stage) give(answer session.Answer) {
	s.mu.Lock()
	s.given = &answer
	s.mu.Unlock()
	time.Sleep(2 * answerEvery)
	synctest.Wait()
}

func (s *stage) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.passed)
}

func (s *stage) now() session.Prompt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.prompt == nil {
		return session.Prompt{}
	}
	return *s.prompt
}

// TestPasskeyIsAskedAnsweredAndCompared: the question is shown instead of the codes, the answers reach WhatsApp once, and those that do not belong
// here do not.
func TestPasskeyIsAskedAnsweredAndCompared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		ended := s.handle(t.Context())
		request := <-s.pairing
		s.step(request, offered)
		s.give(session.Answer{LinkID: job.LinkID, Passkey: []byte("too early")})
		s.step(request, session.PasskeyAsked{Options: []byte(`{"challenge":"x"}`)}, offered)
		time.Sleep(2 * answerEvery)
		if shown := s.now(); len(s.told()) != 0 || string(shown.Passkey) != `{"challenge":"x"}` || shown.QR != "" || time.Until(shown.Deadline) != 5*time.Minute-2*answerEvery {
			t.Errorf("shown %+v", shown)
		}
		s.give(session.Answer{LinkID: "another link", Passkey: []byte("{}")})
		s.give(session.Answer{LinkID: job.LinkID}) // nothing is to be compared yet
		s.give(session.Answer{LinkID: job.LinkID, Passkey: []byte("{}")})
		s.step(request, session.PasskeyConfirm{Code: "ABCD-EFGH"})
		if shown := s.now(); shown.Code != "ABCD-EFGH" || shown.Passkey != nil {
			t.Errorf("shown %+v", shown)
		}
		s.give(session.Answer{LinkID: job.LinkID, Passkey: []byte("{}")}) // that was answered
		s.give(session.Answer{LinkID: job.LinkID})
		if told := s.told(); !slices.Equal(told, []string{"{}", "confirmed"}) {
			t.Errorf("WhatsApp was told %q", told)
		}
		s.step(request, session.Paired{Device: device}, session.Connected{})
		if err := s.end(ended); err != nil {
			t.Fatal(err)
		}
		s.published(session.LinkConnecting, session.LinkQR, session.LinkPasskeyRequired, session.LinkPasskeyConfirm, session.LinkPaired, session.LinkReady)
	})
}

func TestPasskeyWithoutAComparisonIsConfirmedByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		ended := s.handle(t.Context())
		s.step(<-s.pairing, offered, session.PasskeyAsked{Options: []byte("{}")}, session.PasskeyConfirm{})
		if told := s.told(); !slices.Equal(told, []string{"confirmed"}) || s.now().LinkID != "" {
			t.Errorf("WhatsApp was told %q, shown is %+v", told, s.now())
		}
		s.cancel()
		if err := s.end(ended); err != nil {
			t.Fatal(err)
		}
	})
}

// TestPasskeyThatIsRefusedEndsTheLink, and the person hears why.
func TestPasskeyThatIsRefusedEndsTheLink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.refuse = errors.New("not authorized")
		ended := s.handle(t.Context())
		s.step(<-s.pairing, offered, session.PasskeyAsked{Options: []byte("{}")})
		s.give(session.Answer{LinkID: job.LinkID, Passkey: []byte("{}")})
		if err := s.end(ended); err != nil {
			t.Fatal(err)
		}
		if link := s.record().Link; link.State != session.LinkRefused || link.Reason != session.ReasonPasskeyFailed {
			t.Errorf("the link is %s (%s)", link.State, link.Reason)
		}
	})
}

// TestPasskeyPromptOutlivesTheBucket: prompts disappear after three minutes, a passkey may take five.
func TestPasskeyPromptOutlivesTheBucket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		ended := s.handle(t.Context())
		s.step(<-s.pairing, offered, session.PasskeyAsked{Options: []byte("{}")})
		time.Sleep(2 * time.Minute)
		s.mu.Lock()
		s.prompt = nil // as the bucket's expiry
		s.mu.Unlock()
		time.Sleep(keepEvery + time.Second)
		if shown := s.now(); shown.Passkey == nil || time.Until(shown.Deadline) > 3*time.Minute {
			t.Errorf("shown %+v", shown)
		}
		if err := s.end(ended); err != nil {
			t.Fatal(err)
		}
	})
}
