package sender

import (
	"context"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
)

// suppressedAge is how long an answer about suppressions holds. An opt-out that comes later holds from the next message on.
const suppressedAge = time.Second

// suppressed answers, for the deliveries of a batch, which of them must not be written to. It reads the whole batch at once, and again when
// its answer has grown old.
type suppressed struct {
	store  campaign.Suppressions
	phones []string
	// keys are the forms of the batch's numbers under which they are suppressed.
	keys  map[string]string
	found map[string]campaign.Suppression
	at    time.Time
}

func newSuppressed(store campaign.Suppressions, batch []campaign.Delivery) *suppressed {
	s := &suppressed{store: store, keys: make(map[string]string, len(batch))}
	for _, delivery := range batch {
		key := campaign.PersonKey(delivery.Phone)
		s.phones, s.keys[delivery.Phone] = append(s.phones, key), key
	}
	return s
}

func (s *suppressed) find(ctx context.Context, phone string) (campaign.Suppression, bool, error) {
	if time.Since(s.at) > suppressedAge {
		found, err := s.store.Among(ctx, s.phones)
		if err != nil {
			return campaign.Suppression{}, false, err
		}
		s.found, s.at = found, time.Now()
	}
	suppression, is := s.found[s.keys[phone]]
	return suppression, is, nil
}
