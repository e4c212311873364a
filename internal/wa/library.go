package wa

import (
	"regexp"
	"runtime/debug"
	"time"

	"go.mau.fi/whatsmeow/store"
)

// Library is the WhatsApp library of a build.
type Library struct {
	// Version is that of its module, Made the time in it; zero values in a build that does not say.
	Version string
	Made    time.Time
	// WebVersion is the version of WhatsApp Web that it was made for.
	WebVersion string
}

// pseudoVersion holds the time of a commit in a version of Go that stands for it (https://go.dev/ref/mod#pseudo-versions).
var pseudoVersion = regexp.MustCompile(`[.-](\d{14})-[0-9a-f]{12}$`)

// committed gives when a version without a tag was committed; false for others. whatsmeow has no tags.
func committed(version string) (at time.Time, dated bool) {
	found := pseudoVersion.FindStringSubmatch(version)
	if found == nil {
		return time.Time{}, false
	}
	at, err := time.Parse("20060102150405", found[1])
	return at, err == nil
}

// BuiltWith tells which library this build has.
func BuiltWith() Library {
	library := Library{WebVersion: store.GetWAVersion().String()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return library
	}
	for _, module := range info.Deps {
		if module.Path != "go.mau.fi/whatsmeow" {
			continue
		}
		if module.Replace != nil {
			module = module.Replace
		}
		library.Version = module.Version
		library.Made, _ = committed(module.Version)
	}
	return library
}

// RefusedLibrary tells from the version that all workers share whether WhatsApp refused the one that the library was made for, and which one is used
// instead.
func RefusedLibrary(shared Version) (instead string, refused bool) {
	if shared.Revision == 0 || !store.GetWAVersion().LessThan(shared.container()) {
		return "", false
	}
	return shared.container().String(), true
}
