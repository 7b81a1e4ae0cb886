package registry

import (
	"net/http"
	"time"
)

func (a *API) typeRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /thing-types", a.listTypes)
	mux.HandleFunc("GET /thing-types/{type}", a.serveType("iot:DescribeThingType", a.getType))
	mux.HandleFunc("POST /thing-types/{type}", a.serveType("iot:CreateThingType", a.createType))
	mux.HandleFunc("POST /thing-types/{type}/deprecate", a.serveType("iot:DeprecateThingType", a.deprecateType))
	mux.HandleFunc("DELETE /thing-types/{type}", a.serveType("iot:DeleteThingType", a.removeType))
}

// typeProperties are what CreateThingType says and DescribeThingType repeats.
type typeProperties struct {
	Description string   `json:"thingTypeDescription,omitempty"`
	Searchable  []string `json:"searchableAttributes,omitempty"`
}

// typeDescription is a type on the wire; the dates are seconds of the epoch.
type typeDescription struct {
	ThingTypeName       string         `json:"thingTypeName"`
	ThingTypeID         string         `json:"thingTypeId,omitempty"`
	ThingTypeArn        string         `json:"thingTypeArn"`
	ThingTypeProperties typeProperties `json:"thingTypeProperties"`
	ThingTypeMetadata   struct {
		Deprecated      bool  `json:"deprecated"`
		DeprecationDate int64 `json:"deprecationDate,omitempty"`
		CreationDate    int64 `json:"creationDate,omitempty"`
	} `json:"thingTypeMetadata"`
}

func describeType(t Type) typeDescription {
	d := typeDescription{
		ThingTypeName: t.Name, ThingTypeID: t.ID, ThingTypeArn: "arn:aws:iot:::thingtype/" + t.Name,
		ThingTypeProperties: typeProperties{t.Description, t.Searchable},
	}
	d.ThingTypeMetadata.Deprecated = t.Deprecated
	d.ThingTypeMetadata.DeprecationDate, d.ThingTypeMetadata.CreationDate = epoch(t.DeprecatedOn), epoch(t.Created)
	return d
}

func epoch(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// serveType is serveNamed of a thing type.
func (a *API) serveType(action string, do handler) http.HandlerFunc {
	return a.serveNamed("type", "thing type name", action, do)
}

func (a *API) getType(_ *http.Request, name string) (any, error) {
	t, err := a.Registry.Type(name)
	return describeType(t), err
}

func (a *API) createType(r *http.Request, name string) (any, error) {
	var p struct {
		ThingTypeProperties typeProperties `json:"thingTypeProperties"`
	}
	if err := read(r, &p); err != nil {
		return nil, err
	}
	t, err := a.Registry.CreateType(r.Context(), name, p.ThingTypeProperties.Description, p.ThingTypeProperties.Searchable)
	d := describeType(t)
	return map[string]string{"thingTypeName": d.ThingTypeName, "thingTypeArn": d.ThingTypeArn, "thingTypeId": d.ThingTypeID}, err
}

func (a *API) deprecateType(r *http.Request, name string) (any, error) {
	var p struct {
		UndoDeprecate bool `json:"undoDeprecate"`
	}
	if err := read(r, &p); err != nil {
		return nil, err
	}
	return struct{}{}, a.Registry.Deprecate(r.Context(), name, !p.UndoDeprecate)
}

func (a *API) removeType(r *http.Request, name string) (any, error) {
	return struct{}{}, a.Registry.DeleteType(r.Context(), name)
}

// listTypes pages through the types.
func (a *API) listTypes(w http.ResponseWriter, r *http.Request) {
	if !a.may(r, "iot:ListThingTypes", "") {
		answerError(w, errForbidden)
		return
	}
	q := r.URL.Query()
	types, next, err := page(q, a.Registry.Types(), func(t Type) string { return t.Name }, func(t Type) bool {
		return q.Get("thingTypeName") == "" || t.Name == q.Get("thingTypeName")
	})
	out := struct {
		ThingTypes []typeDescription `json:"thingTypes"`
		NextToken  string            `json:"nextToken,omitempty"`
	}{[]typeDescription{}, next}
	for _, t := range types {
		out.ThingTypes = append(out.ThingTypes, describeType(t))
	}
	respond(w, out, err)
}
