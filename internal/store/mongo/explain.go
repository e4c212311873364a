package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/auth"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// serverError is a failure that the server reported, without its words: they hold values of records ("dup key: { _id: ... }") and, after a failed
// login, the name of the user.
type serverError struct {
	codes []int
	name  string
}

func (e *serverError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("MongoDB error %v %s", e.codes, e.name))
}

// explain is the one way out for errors: it says what was being done and gives the failure its class. An error of the domain, which has
// one already, and that of an ended context pass through.
func (db *DB) explain(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, db.classify(ctx, err))
}

func (db *DB) classify(ctx context.Context, err error) error {
	var known *fault.Error
	var failure mongo.ServerError
	var login *auth.Error // of opening a connection; its text has the server's words
	switch {
	case errors.As(err, &known):
		return err
	case ctx.Err() != nil:
		// What the driver says of a call that the context interrupted differs with the moment.
		return ctx.Err()
	case db.closed.Load() || errors.Is(err, mongo.ErrClientDisconnected):
		return fault.Wrap(mongo.ErrClientDisconnected, fault.RetryLater, "store_closed", "The service is stopping; try again when it is back").
			WithAfter(5 * time.Second)
	case errors.Is(err, mongo.ErrNoDocuments):
		return store.ErrNotFound
	case mongo.IsDuplicateKeyError(err):
		return fmt.Errorf("%w: %w", store.ErrConflict, bare(err))
	case errors.As(err, &login):
		return fault.New(fault.Internal, "store_unauthorized", "MongoDB refuses the user or password; check the URI")
	case mongo.IsNetworkError(err):
		return unreachable(err) // with the driver's words, which name the server
	case errors.As(err, &failure):
		return classifyFailure(err, failure)
	case mongo.IsTimeout(err), errors.Is(err, context.DeadlineExceeded):
		return unreachable(err)
	}
	return err
}

// Codes of the server; https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml names them.
var (
	unauthorizedCodes = []int{13, 18, 8000}
	tooSlowCodes      = []int{50, 64, 100, 202, 262}
	fullCodes         = []int{14031, 319}
)

// classifyFailure gives the server's own failures their class.
func classifyFailure(err error, failure mongo.ServerError) error {
	has := func(codes []int) bool {
		return slices.ContainsFunc(failure.ErrorCodes(), func(code int) bool { return slices.Contains(codes, code) })
	}
	switch {
	case has(unauthorizedCodes):
		return fault.Wrap(bare(err), fault.Internal, "store_unauthorized",
			"MongoDB refuses the user or password, or the user may not do this; check the URI and the user's role")
	case has(fullCodes):
		return fault.Wrap(bare(err), fault.RetryLater, "store_full",
			"The disk of MongoDB is full; free space, nothing that was accepted is lost").WithAfter(30 * time.Second)
	case has(tooSlowCodes), mongo.IsTimeout(err):
		return unreachable(bare(err))
	case failure.HasErrorLabel("TransientTransactionError"), failure.HasErrorLabel("RetryableWriteError"),
		failure.HasErrorLabel("UnknownTransactionCommitResult"):
		return fault.Wrap(bare(err), fault.RetryLater, "store_busy", "MongoDB is changing its primary or is busy; try again in a moment").
			WithAfter(time.Second)
	}
	return bare(err)
}

func unreachable(cause error) error {
	return fault.Wrap(cause, fault.RetryLater, "store_unreachable",
		"MongoDB does not answer, or a majority of it does not; check that its servers run and are reachable").WithAfter(5 * time.Second)
}

// bare keeps the codes of a failure and drops its words.
func bare(err error) error {
	var command mongo.CommandError
	name := ""
	if errors.As(err, &command) {
		name = command.Name
	}
	codes := mongo.ErrorCodes(err)
	slices.Sort(codes)
	return &serverError{codes: slices.Compact(codes), name: name}
}
