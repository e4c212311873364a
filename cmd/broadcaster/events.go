package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dannsalud/broadcaster/client"
)

type eventsFlags struct {
	wanted client.EventsOptions
	since  time.Duration
	asJSON bool
}

func newEvents() *cobra.Command {
	command := &cobra.Command{
		Use:   "events",
		Short: "Follow what happens, and print it as it happens",
		Long: `Prints what happens (docs/events.md) until it is interrupted, over broken connections and restarts of the service. Lines of events go to standard output,
one each; what is to be known about the connection goes to standard error. --last-id and --since begin with what happened before.`,
		Args: cobra.NoArgs,
	}
	remote, given := remoteFlags(command), eventsFlags{}
	flags := command.Flags()
	flags.StringSliceVar(&given.wanted.Kinds, "kind", nil, "only these kinds, separated by commas")
	flags.StringVar(&given.wanted.SessionID, "session", "", "only events about this session")
	flags.StringVar(&given.wanted.CampaignID, "campaign", "", "only events about this campaign")
	flags.StringVar(&given.wanted.After, "last-id", "", "go on behind this event; 0: begin with the oldest that is kept")
	flags.DurationVar(&given.since, "since", 0, "begin with what happened this long ago, such as 1h; reads all that is kept")
	flags.BoolVar(&given.asJSON, "json", false, "print lines of JSON")
	command.MarkFlagsMutuallyExclusive("last-id", "since")
	command.RunE = func(command *cobra.Command, _ []string) error {
		api, err := remote()
		if err != nil {
			return err
		}
		return followEvents(command, api, given)
	}
	return command
}

func followEvents(command *cobra.Command, api *client.Client, given eventsFlags) error {
	out, errOut := command.OutOrStdout(), command.ErrOrStderr()
	given.wanted.Interrupted = func(why error, wait time.Duration) {
		_, _ = fmt.Fprintf(errOut, "broadcaster: %v; trying again in %s\n", why, wait.Round(time.Second))
	}
	var oldest time.Time
	if given.since > 0 {
		given.wanted.After, oldest = "0", time.Now().Add(-given.since)
	}
	for event, err := range api.Events(command.Context(), given.wanted) {
		if gap := (*client.EventsGap)(nil); errors.As(err, &gap) {
			if given.wanted.After != "0" { // who asked for the oldest misses none
				_, _ = fmt.Fprintln(errOut, "broadcaster:", gap)
			}
			continue
		}
		if err == nil && !event.At.Before(oldest) {
			err = printEvent(out, event, given.asJSON)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// shownEvent is an event as a line of JSON.
type shownEvent struct {
	ID   string          `json:"id"`
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data"`
}

func printEvent(out io.Writer, event client.Event, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(shownEvent{ID: event.ID, Kind: event.Kind, Data: event.Data})
	}
	_, err := fmt.Fprintf(out, "%s  %s  %s%s\n", moment(event.At), event.ID, event.Kind, describeEvent(event.Data))
	return err
}

// describeEvent shows the fields of an event to a person. Texts are quoted where they have more than letters: what somebody wrote is no line of ours.
func describeEvent(data json.RawMessage) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return fmt.Sprintf("  %q", data)
	}
	delete(fields, "version")
	delete(fields, "at")
	var shown strings.Builder
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := string(fields[name])
		if bare := strings.Trim(value, `"`); !strings.ContainsFunc(bare, func(letter rune) bool { return !strings.ContainsRune(plainLetters, letter) }) {
			value = bare
		}
		_, _ = fmt.Fprintf(&shown, "  %s=%s", name, value)
	}
	return shown.String()
}

const plainLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+.:@"
