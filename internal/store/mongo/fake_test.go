package mongo_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// fake is a server that says that it is the primary of a replica set, and answers as a test tells it to. It shows what is asked of a real MongoDB:
// the server of the other tests has no transactions, no read concerns and no indexes that expire.
type fake struct {
	listener net.Listener
	running  sync.WaitGroup

	mu       sync.Mutex
	commands []bson.Raw
	answers  map[string][]bson.D
	open     []net.Conn
}

// Codes of messages of the wire protocol.
const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

func startFake(t *testing.T) *fake {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{listener: listener, answers: map[string][]bson.D{}}
	f.running.Go(f.accept)
	t.Cleanup(f.stop)
	return f
}

func (f *fake) uri() string { return "mongodb://" + f.listener.Addr().String() + "/?replicaSet=rs0" }

func (f *fake) stop() {
	_ = f.listener.Close()
	f.mu.Lock()
	for _, connection := range f.open {
		_ = connection.Close()
	}
	f.mu.Unlock()
	f.running.Wait()
}

func (f *fake) accept() {
	for {
		connection, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.open = append(f.open, connection)
		f.mu.Unlock()
		f.running.Go(func() { f.serve(connection) })
	}
}

func (f *fake) serve(connection net.Conn) {
	for {
		code, id, body, err := readMessage(connection)
		if err != nil {
			return
		}
		command := parse(code, body)
		answer, err := bson.Marshal(append(f.answer(command), bson.E{Key: "operationTime", Value: bson.Timestamp{T: 7}}))
		if err != nil {
			panic(err)
		}
		if writeMessage(connection, code, id, answer) != nil {
			return
		}
	}
}

func readMessage(from io.Reader) (code, id int32, body []byte, err error) {
	var header struct{ Length, ID, To, Code int32 }
	if err := binary.Read(from, binary.LittleEndian, &header); err != nil {
		return 0, 0, nil, err
	}
	body = make([]byte, header.Length-16)
	_, err = io.ReadFull(from, body)
	return header.Code, header.ID, body, err
}

// parse gives the command of a message; lists that stand beside it ("updates") are put into it.
func parse(code int32, body []byte) bson.Raw {
	if code == opQuery {
		return bson.Raw(body[4+bytes.IndexByte(body[4:], 0)+1+8:])
	}
	var command bson.D
	for sections := body[4:]; len(sections) > 0; {
		kind := sections[0]
		length := int(binary.LittleEndian.Uint32(sections[1:]))
		section := sections[1 : 1+length]
		sections = sections[1+length:]
		if kind == 0 {
			var main bson.D
			if err := bson.Unmarshal(section, &main); err != nil {
				panic(err)
			}
			command = append(main, command...)
			continue
		}
		end := 4 + bytes.IndexByte(section[4:], 0)
		list := bson.A{}
		for rest := section[end+1:]; len(rest) > 0; {
			length := binary.LittleEndian.Uint32(rest)
			list, rest = append(list, bson.Raw(rest[:length])), rest[length:]
		}
		command = append(command, bson.E{Key: string(section[4:end]), Value: list})
	}
	raw, err := bson.Marshal(command)
	if err != nil {
		panic(err)
	}
	return raw
}

func writeMessage(to io.Writer, code, id int32, answer []byte) error {
	var message bytes.Buffer
	prefix := make([]byte, 5) // no flags, and a section of one document
	if code == opQuery {
		code, prefix = opReply, make([]byte, 20)
		prefix[16] = 1 // one document
	} else {
		code = opMsg
	}
	header := [4]int32{int32(16 + len(prefix) + len(answer)), id, id, code}
	if err := errors.Join(binary.Write(&message, binary.LittleEndian, header)); err != nil {
		return err
	}
	message.Write(prefix)
	message.Write(answer)
	_, err := to.Write(message.Bytes())
	return err
}

func nameOf(command bson.Raw) string {
	elements, err := command.Elements()
	if err != nil {
		panic(err)
	}
	return elements[0].Key()
}

// answer gives what the test wants for a command, once each, or else that all is well.
func (f *fake) answer(command bson.Raw) bson.D {
	name := nameOf(command)
	switch name {
	case "hello", "isMaster", "ismaster":
		return f.hello()
	case "endSessions":
		return bson.D{{Key: "ok", Value: 1}}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commands = append(f.commands, command)
	if queued := f.answers[name]; len(queued) > 0 {
		f.answers[name] = queued[1:]
		return queued[0]
	}
	switch name {
	case "find", "aggregate":
		return found()
	case "insert", "update", "delete":
		return bson.D{{Key: "ok", Value: 1}, {Key: "n", Value: 1}, {Key: "nModified", Value: 1}}
	}
	return bson.D{{Key: "ok", Value: 1}}
}

func (f *fake) hello() bson.D {
	address := f.listener.Addr().String()
	return bson.D{{Key: "ok", Value: 1}, {Key: "helloOk", Value: true}, {Key: "isWritablePrimary", Value: true}, {Key: "ismaster", Value: true},
		{Key: "setName", Value: "rs0"}, {Key: "setVersion", Value: 1}, {Key: "hosts", Value: bson.A{address}}, {Key: "me", Value: address},
		{Key: "primary", Value: address}, {Key: "maxBsonObjectSize", Value: 16 << 20}, {Key: "maxMessageSizeBytes", Value: 48000000},
		{Key: "maxWriteBatchSize", Value: 100000}, {Key: "logicalSessionTimeoutMinutes", Value: 30}, {Key: "minWireVersion", Value: 0},
		{Key: "maxWireVersion", Value: 21}}
}

// found is the answer to a query that finds these documents.
func found(documents ...bson.D) bson.D {
	batch := bson.A{}
	for _, each := range documents {
		batch = append(batch, each)
	}
	return bson.D{{Key: "ok", Value: 1}, {Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: "broadcaster.x"},
		{Key: "firstBatch", Value: batch}}}}
}

// refuses is the answer to a write whose first document a unique index refuses, with words such as MongoDB's.
func refuses(value string) bson.D {
	return bson.D{{Key: "ok", Value: 1}, {Key: "n", Value: 0}, {Key: "writeErrors", Value: bson.A{bson.D{{Key: "index", Value: 0},
		{Key: "code", Value: 11000}, {Key: "errmsg", Value: "E11000 duplicate key error collection: x index: _id_ dup key: { _id: \"" + value + "\" }"}}}}}
}

// fails is the answer of a server that could not do it.
func fails(code int, label string) bson.D {
	return bson.D{{Key: "ok", Value: 0}, {Key: "code", Value: code}, {Key: "codeName", Value: "Trouble"}, {Key: "errmsg", Value: "it said +5491122334455"},
		{Key: "errorLabels", Value: bson.A{label}}}
}

// says sets the answers to the next commands of a name, and forgets what was asked so far.
func (f *fake) says(name string, answers ...bson.D) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[name], f.commands = answers, nil
}

// asked gives the commands since the last call.
func (f *fake) asked() []bson.Raw {
	f.mu.Lock()
	defer f.mu.Unlock()
	commands := slices.Clone(f.commands)
	f.commands = nil
	return commands
}
