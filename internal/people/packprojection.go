package people

import "time"

func packProjection(p *Projection) *ProjectionRecord {
	r := &ProjectionRecord{
		Kind: uint32(p.Kind), Sex: uint32(p.Sex), Birth: packDate(p.Birth), Language: p.Language, Zone: p.Zone, State: p.State, Postal: p.Postal,
		Country: p.Country, Deceased: p.Deceased, HasEmail: p.HasEmail, HasPhone: p.HasPhone, InPatient: p.InPatient, Sources: p.Sources,
		Conditions: packCodes(p.Conditions), Medications: packCodes(p.Medications), Procedures: packCodes(p.Procedures),
		Immunizations: packCodes(p.Immunizations), Allergies: packCodes(p.Allergies), Consents: packConsents(p.Consents), Custom: packPairs(p.Custom),
	}
	for _, c := range p.Coverages {
		r.Coverages = append(r.Coverages, &CoverageRecord{Kind: c.Kind, Start: c.Start, End: c.End})
	}
	for _, l := range p.Labs {
		n, s := packSystem(l.System)
		r.Labs = append(r.Labs, &ProjectedLabRecord{
			Alias: n, System: s, Code: l.Code, Comparator: l.Comparator, Unit: l.Unit, Value: l.Value, At: l.At,
		})
	}
	for _, e := range p.Events {
		r.Events = append(r.Events, &ProjectedEventsRecord{
			Kind: e.Kind, First: e.First, Last: e.Last, Times: steps(e.Times), Machine: steps(e.Machine),
		})
	}
	for _, a := range p.Appointments {
		r.Appointments = append(r.Appointments, &ProjectedAppointmentRecord{Start: a.Start, Type: a.Type})
	}
	return r
}

// unpackProjection gives the projection of a record; the coverage that holds is the one of now.
func unpackProjection(r *ProjectionRecord, now time.Time) Projection {
	p := Projection{
		Kind: Kind(r.Kind), Sex: Sex(r.Sex), Birth: unpackDate(r.Birth), Language: r.Language, Zone: r.Zone, State: r.State, Postal: r.Postal,
		Country: r.Country, Deceased: r.Deceased, HasEmail: r.HasEmail, HasPhone: r.HasPhone, InPatient: r.InPatient, Sources: r.Sources,
		Conditions: unpackCodes(r.Conditions), Medications: unpackCodes(r.Medications), Procedures: unpackCodes(r.Procedures),
		Immunizations: unpackCodes(r.Immunizations), Allergies: unpackCodes(r.Allergies), Consents: unpackConsents(r.Consents),
		Custom: unpackPairs(r.Custom),
	}
	for _, c := range r.Coverages {
		p.Coverages = append(p.Coverages, ProjectedCoverage{Kind: c.Kind, Start: c.Start, End: c.End})
	}
	for _, l := range r.Labs {
		p.Labs = append(p.Labs, ProjectedLab{
			System: unpackSystem(l.Alias, l.System), Code: l.Code, Comparator: l.Comparator, Unit: l.Unit, Value: l.Value, At: l.At,
		})
	}
	for _, e := range r.Events {
		p.Events = append(p.Events, ProjectedEvents{
			Kind: e.Kind, First: e.First, Last: e.Last, Times: sums(e.Times), Machine: sums(e.Machine),
		})
	}
	for _, a := range r.Appointments {
		p.Appointments = append(p.Appointments, ProjectedAppointment{Start: a.Start, Type: a.Type})
	}
	p.Insurance = insurance(p.Coverages, now)
	return p
}

func packCodes(all []ProjectedCode) []*ProjectedCodeRecord {
	if len(all) == 0 {
		return nil
	}
	out := make([]*ProjectedCodeRecord, 0, len(all))
	for _, c := range all {
		n, s := packSystem(c.System)
		out = append(out, &ProjectedCodeRecord{Alias: n, System: s, Code: c.Code, Active: c.Active, Start: c.Start, End: c.End})
	}
	return out
}

func unpackCodes(all []*ProjectedCodeRecord) []ProjectedCode {
	if len(all) == 0 {
		return nil
	}
	out := make([]ProjectedCode, 0, len(all))
	for _, c := range all {
		out = append(out, ProjectedCode{
			System: unpackSystem(c.Alias, c.System), Code: c.Code, Active: c.Active, Start: c.Start, End: c.End,
		})
	}
	return out
}

// steps gives ascending times as the differences between them: short numbers.
func steps(times []int64) []int64 {
	if len(times) == 0 {
		return nil
	}
	out, last := make([]int64, len(times)), int64(0)
	for i, t := range times {
		out[i], last = t-last, t
	}
	return out
}

func sums(steps []int64) []int64 {
	if len(steps) == 0 {
		return nil
	}
	out, t := make([]int64, len(steps)), int64(0)
	for i, d := range steps {
		t += d
		out[i] = t
	}
	return out
}
