package contract

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// source is what the Go source says about the types of messages beyond what reflection sees. Its keys are like "events.LinkSession" and
// "events.LinkSession.Phone".
type source struct {
	comments map[string]string
	// values are the constants of a type, in the order of their declaration, without the empty one.
	values map[string][]any
}

// readSource reads the packages whose types are in messages.
func readSource(t *testing.T) source {
	t.Helper()
	s := source{comments: map[string]string{}, values: map[string][]any{}}
	for _, name := range []string{"events", "session", "campaign", "fault"} {
		paths, err := filepath.Glob(filepath.Join("../..", name, "*.go"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("internal/%s has no files: %v", name, err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			s.readFile(file)
		}
	}
	return s
}

func (s source) readFile(file *ast.File) {
	for _, declaration := range file.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range group.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				comment := spec.Doc
				if comment == nil {
					comment = group.Doc
				}
				s.readType(file.Name.Name, spec, comment)
			case *ast.ValueSpec:
				s.readConstant(file.Name.Name, spec)
			}
		}
	}
}

func (s source) readType(pkg string, spec *ast.TypeSpec, comment *ast.CommentGroup) {
	name := pkg + "." + spec.Name.Name
	s.comments[name] = sentence(comment)
	structure, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	above := ""
	for _, field := range structure.Fields.List {
		if field.Doc != nil {
			above = sentence(field.Doc)
		}
		for _, ident := range field.Names {
			// A comment over several fields names each that it speaks of.
			if field.Doc != nil || regexp.MustCompile(`\b`+ident.Name+`\b`).MatchString(above) {
				s.comments[name+"."+ident.Name] = above
			}
		}
	}
}

func (s source) readConstant(pkg string, spec *ast.ValueSpec) {
	named, ok := spec.Type.(*ast.Ident)
	if !ok || len(spec.Values) != 1 {
		return
	}
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return
	}
	if value, err := strconv.Unquote(literal.Value); err == nil && value != "" {
		s.values[pkg+"."+named.Name] = append(s.values[pkg+"."+named.Name], value)
	}
}

// sentence gives a comment as one line.
func sentence(comment *ast.CommentGroup) string {
	return strings.Join(strings.Fields(comment.Text()), " ")
}

// object is a JSON object.
type object = map[string]any

// schemas makes JSON schemas (draft 7, which AsyncAPI has by default) of Go types. Structs are collected under their names.
type schemas struct {
	source source
	named  object
}

// of gives the schema of a type, with a description; empty: the type's own.
func (s *schemas) of(t *testing.T, goType reflect.Type, description string) object {
	t.Helper()
	schema := s.plain(t, goType)
	if description == "" && goType.Kind() == reflect.String {
		description = s.source.comments[goType.String()]
	}
	if description == "" {
		return schema
	}
	if _, reference := schema["$ref"]; reference { // nothing beside a $ref counts
		schema = object{"allOf": []any{schema}}
	}
	schema["description"] = strings.TrimSpace(description + " " + text(schema["description"]))
	return schema
}

func (s *schemas) plain(t *testing.T, goType reflect.Type) object {
	t.Helper()
	switch goType.String() {
	case "time.Time":
		return object{"type": "string", "format": "date-time"}
	case "time.Duration":
		return object{"type": "integer", "description": "In nanoseconds."}
	case "json.RawMessage":
		return object{"description": "Any JSON."}
	case "[]uint8":
		return object{"type": "string", "contentEncoding": "base64"}
	}
	switch goType.Kind() {
	case reflect.String:
		schema := object{"type": "string"}
		// A reason is for people to read: there may be new ones at any time.
		if values := s.source.values[goType.String()]; len(values) > 1 && goType.Name() != "Reason" {
			schema["enum"] = values
		}
		return schema
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Slice:
		return object{"type": "array", "items": s.plain(t, goType.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.plain(t, goType.Elem())}
	case reflect.Struct:
		s.structure(t, goType)
		return object{"$ref": "#/components/schemas/" + goType.Name()}
	default:
		t.Fatalf("%s has no JSON schema: teach this test what it is on the wire", goType)
		return nil
	}
}

// structure adds the schema of a struct under its name. Two structs of one name would be an error, and there is none.
func (s *schemas) structure(t *testing.T, goType reflect.Type) {
	t.Helper()
	if _, known := s.named[goType.Name()]; known {
		return
	}
	properties, required := object{}, []any{}
	schema := object{"type": "object", "properties": properties}
	s.named[goType.Name()] = schema
	if comment := s.source.comments[goType.String()]; comment != "" {
		schema["description"] = comment
	}
	for i := range goType.NumField() {
		field := goType.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		properties[name] = s.of(t, field.Type, s.source.comments[goType.String()+"."+field.Name])
		if options == "" {
			required = append(required, name)
		}
	}
	if len(required) > 0 {
		schema["required"] = required
	}
}

func text(value any) string {
	s, _ := value.(string)
	return s
}
