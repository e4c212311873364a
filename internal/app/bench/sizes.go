package bench

import "time"

// sizes say how much of each workload is done.
type sizes struct {
	// rounds count, besides the one that warms up.
	rounds int

	send []sendVariant
	// sendAgainst are the yardsticks of it, that on the same keys first.
	sendAgainst []string
	// sendTime bounds the rounds against that one; zero: it does not.
	sendTime time.Duration

	// samples are the jobs of a round, backlog the jobs that wait in the same stream.
	samples, backlog int

	audiences []int

	links int

	// idle are the numbers of sessions, ascending.
	idle []int

	// clients are the numbers of clients at once, requestTime how long they ask in a round.
	clients     []int
	requestTime time.Duration

	// lists are the lengths of the lists, reads the pages read in a round.
	lists []int
	reads int
}

func (s sizes) sendSessions() int {
	most := 0
	for _, v := range s.send {
		most = max(most, v.sessions)
	}
	return most
}

func fullSizes() sizes {
	return sizes{rounds: 5,
		send:        []sendVariant{{1, 2000, 9}, {5, 6000, 9}},
		sendAgainst: []string{onOurKeys, onSQLStore, onUnflushed, inMemory},
		samples:     200, backlog: 100_000,
		audiences: []int{10_000, 100_000, 1_000_000},
		links:     20,
		idle:      []int{1, 10, 100, 1000},
		clients:   []int{1, 16, 64}, requestTime: time.Second,
		lists: []int{10_000, 1_000_000}, reads: 200,
	}
}

// quickSizes are for a minute on two cores.
func quickSizes() sizes {
	return sizes{rounds: 3,
		send:        []sendVariant{{1, 480, 15}, {5, 1000, 15}},
		sendAgainst: []string{onOurKeys, onSQLStore, inMemory}, sendTime: 6 * time.Second,
		samples: 50, backlog: 5_000,
		audiences: []int{4_000, 12_000},
		links:     5,
		idle:      []int{1, 10, 40},
		clients:   []int{1, 16, 64}, requestTime: 50 * time.Millisecond,
		lists: []int{5_000, 20_000}, reads: 50,
	}
}
