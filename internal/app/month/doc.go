// Package month holds one test and nothing else: a campaign of thirty days, in virtual time, on the real sender, the real whatsmeow and the simulator.
// Whether caps, quiet hours, warm-up and rests were kept is judged by the times at which the simulator saw the messages arrive.
//
// It is a package of its own because it makes whatsmeow's keep-alives, which are settings of the whole process, rare: a month has a hundred thousand of
// them. Nobody calls it.
package month
