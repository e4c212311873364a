package doctor

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"
)

const (
	// skewWarning and skewBroken are how far a clock may be off. Campaign hours, codes and cooldowns are times of day; leases are not.
	skewWarning = 2 * time.Second
	skewBroken  = 30 * time.Second
	// expirySoon is how long before its end a certificate is worth a warning.
	expirySoon = 21 * 24 * time.Hour
	// libraryAge is how old the WhatsApp library may be: WhatsApp retires old clients within months.
	libraryAge = 6 * 7 * 24 * time.Hour
)

// Reading is what somebody's clock said.
type Reading struct {
	Whose string
	// Time is what it said at At, by this machine's clock, and Unsure how much later or earlier that may have been.
	Time, At time.Time
	Unsure   time.Duration
}

// Skew compares a clock with that of this machine, which now gives.
func Skew(reading Reading, now func() time.Time) Finding {
	whose := reading.Whose
	off := now().Sub(reading.Time.Add(time.Since(reading.At))).Abs() - reading.Unsure
	if off <= skewWarning {
		return Fine("the clock of %s is that of this machine, to the second", whose)
	}
	state := Warning
	if off > skewBroken {
		state = Broken
	}
	return Bad(state, "synchronise the clocks of all machines (chrony, systemd-timesyncd, or the host of the virtual machine)",
		"the clock of %s is %s off", whose, off.Round(time.Second))
}

// Expiry looks at the end of a certificate.
func Expiry(whose string, end, now time.Time) Finding {
	const fix = "renew the certificate, and restart what serves it"
	left := end.Sub(now)
	switch {
	case left <= 0:
		return Bad(Broken, fix, "the certificate of %s expired on %s", whose, end.Format(time.DateOnly))
	case left < expirySoon:
		return Bad(Warning, fix, "the certificate of %s expires on %s, in %d days", whose, end.Format(time.DateOnly), int(left.Hours()/24))
	}
	return Fine("the certificate of %s is valid until %s", whose, end.Format(time.DateOnly))
}

// LibraryAge looks at when the WhatsApp library of this build was made.
func LibraryAge(version string, made, now time.Time) Finding {
	if made.IsZero() {
		return Fine("this build does not say which WhatsApp library it has")
	}
	if age := now.Sub(made); age > libraryAge {
		return Bad(Warning, "upgrade to a release with a newer whatsmeow: see \"When WhatsApp changes its version\" in docs/operations.md",
			"the WhatsApp library (whatsmeow %s) is %d weeks old", cmp.Or(version, "of this build"), int(age.Hours()/24/7))
	}
	return Fine("the WhatsApp library (whatsmeow %s) was made on %s", cmp.Or(version, "of this build"), made.Format(time.DateOnly))
}

// DiskLimits are the shares of a disk that must be free.
type DiskLimits struct {
	Warning, Broken float64
}

// DefaultDiskLimits leave time to act: a full disk stops the queue and the database at once.
func DefaultDiskLimits() DiskLimits { return DiskLimits{Warning: 0.15, Broken: 0.05} }

// Disk looks at the disk of a folder.
func Disk(folder string, limits DiskLimits) func(context.Context) Finding {
	return func(context.Context) Finding {
		free, total, err := diskSpace(folder)
		if err != nil || total == 0 {
			return Bad(Warning, "look at the disk by hand (df)", "the space on the disk of %s could not be read: %v", folder, err)
		}
		share := float64(free) / float64(total)
		saw := fmt.Sprintf("%.1f of %.1f GB are free on the disk of %s", gigabytes(free), gigabytes(total), folder)
		const fix = "make room, or move the folder to a larger disk while nothing runs: a full disk stops the queue and the database"
		switch {
		case share < limits.Broken:
			return Bad(Broken, fix, "%s", saw)
		case share < limits.Warning:
			return Bad(Warning, fix, "%s", saw)
		}
		return Fine("%s", saw)
	}
}

func gigabytes(bytes uint64) float64 { return float64(bytes) / 1e9 }

// Private looks at who may read a folder or file.
func Private(path string) func(context.Context) Finding {
	return func(context.Context) Finding {
		info, err := os.Stat(path)
		if err != nil {
			return Bad(Broken, "name the right folder with --data, or restore it from a backup", "%s cannot be read: %v", path, err)
		}
		if others := info.Mode().Perm() & 0o077; others != 0 {
			return Bad(Warning, "chmod go-rwx "+path, "%s is open to other users of this machine (%s)", path, info.Mode().Perm())
		}
		return Fine("%s is its owner's alone", path)
	}
}
