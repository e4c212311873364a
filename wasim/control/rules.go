package control

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/dannsalud/broadcaster/wasim/script"
)

func ruleState(id int, running *script.Running) RuleState {
	return RuleState{ID: id, Rule: running.Rule(), Hits: running.Hits()}
}

func (h *Handler) addRule(r *http.Request) (any, error) {
	rule, err := read[script.Rule](r)
	if err != nil {
		return nil, err
	}
	running, err := h.server.Script(rule)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nextRule++
	h.rules[h.nextRule] = running
	return ruleState(h.nextRule, running), nil
}

func (h *Handler) listRules(*http.Request) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	states := make([]RuleState, 0, len(h.rules))
	for id, running := range h.rules {
		states = append(states, ruleState(id, running))
	}
	slices.SortFunc(states, func(one, other RuleState) int { return cmp.Compare(one.ID, other.ID) })
	return states, nil
}

func (h *Handler) onRule(serve func(int, *script.Running) (any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		id, _ := strconv.Atoi(r.PathValue("id")) // what is no number names no rule
		h.mu.Lock()
		running := h.rules[id]
		h.mu.Unlock()
		if running == nil {
			return nil, fmt.Errorf("rule: %w", errNotFound)
		}
		return serve(id, running)
	}
}

func (h *Handler) stopRule(id int, running *script.Running) (any, error) {
	running.Stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.rules, id)
	return nil, nil
}
