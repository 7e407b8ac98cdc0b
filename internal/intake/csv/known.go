package csv

// known is an export of a program that is recognised by its columns.
type known struct {
	name  string
	needs []string          // columns that it has, as plainHeader gives them
	lacks []string          // and that it has not
	only  []string          // it has no other columns than these
	of    map[string]Column // its columns beside and over the general ones; Field "" is not read
	set   func(m *Mapping)
}

func permitAt(evidence ...string) map[string]Column {
	all := map[string]Column{}
	for _, h := range evidence {
		all[h] = Column{Field: fieldEvidence, To: "email"}
	}
	return all
}

func with(all map[string]Column, more map[string]Column) map[string]Column {
	for k, c := range more {
		all[k] = c
	}
	return all
}

// exports are the known ones, the more particular first.
var exports = []known{
	{
		name: "mailchimp-unsubscribed", needs: []string{"emailaddress", "unsubtime"},
		of:  map[string]Column{"emailaddress": {Field: fieldEmail}, "unsubtime": {Field: fieldOptOutAt, Dates: "iso"}},
		set: suppresses("commercial", "unsubscribed"),
	},
	{
		name: "mailchimp-cleaned", needs: []string{"emailaddress", "cleantime"},
		of:  map[string]Column{"emailaddress": {Field: fieldEmail}, "cleantime": {Field: fieldOptOutAt, Dates: "iso"}},
		set: suppresses("address", "bounced"),
	},
	{
		name: "mailchimp", needs: []string{"emailaddress", "leid", "euid"},
		of: with(permitAt("optinip", "confirmip"), map[string]Column{
			"euid": {Field: fieldKey}, "leid": {}, "optintime": {Field: fieldConsentAt, To: "email", Dates: "iso"}, "confirmtime": {Field: fieldConsentAt, To: "email", Dates: "iso"},
			"lastchanged": {Field: fieldUpdated, Dates: "iso"}, "region": {Field: fieldState}, "cc": {Field: fieldCountry}, "birthday": {}, "notes": {}, "tags": {},
		}),
		set: contacts,
	},
	{
		name: "listmonk", needs: []string{"uuid", "email", "name", "status"},
		of: map[string]Column{
			"uuid": {Field: fieldKey}, "status": {Field: fieldStop, Values: map[string]string{"blocklisted": "all", "enabled": "-", "disabled": "-", "*": "-"}},
			"updatedat": {Field: fieldUpdated, Dates: "iso"}, "createdat": {}, "attributes": {},
		},
		set: contacts,
	},
	{
		name: "sendgrid-suppressions", needs: []string{"email", "created"}, only: []string{"email", "created", "reason", "status", "ip", "group", "groupid", "name"},
		of: map[string]Column{
			"email": {Field: fieldEmail}, "created": {Field: fieldOptOutAt},
			"reason": {Field: fieldStop, Values: map[string]string{
				"spam report": "all", "unsubscribe": "commercial", "unsubscribed": "commercial", "group unsubscribe": "commercial", "*": "address",
			}},
			"status": {}, "ip": {}, "group": {}, "groupid": {}, "name": {},
		},
		set: suppresses("commercial", "unsubscribed"),
	},
	{
		name: "sendgrid", needs: []string{"email", "contactid", "createdat"},
		of: map[string]Column{
			"contactid": {Field: fieldKey}, "updatedat": {Field: fieldUpdated, Dates: "iso"}, "createdat": {}, "alternateemails": {Field: fieldEmail, Split: ",", Use: "old"},
			"whatsapp": {}, "line": {}, "facebook": {}, "uniquename": {},
		},
		set: contacts,
	},
	{
		name: "mautic", needs: []string{"id", "firstname", "lastname", "email", "dateidentified"},
		of:  map[string]Column{"id": {Field: fieldKey}, "title": {Field: fieldPrefix}, "tags": {}, "points": {}, "lastactive": {}, "dateidentified": {}, "company": {}, "position": {}},
		set: contacts,
	},
	{
		name: "hubspot", needs: []string{"recordid", "email"},
		of: map[string]Column{
			"recordid": {Field: fieldKey}, "recordidcontact": {Field: fieldKey}, "unsubscribedfromallemail": {Field: fieldStop}, "lastmodifieddate": {Field: fieldUpdated},
			"createdate": {}, "leadstatus": {}, "marketingcontactstatus": {},
		},
		set: contacts,
	},
	{name: "synthea-patients", needs: []string{"id", "birthdate", "deathdate", "ssn", "first", "last"}, of: map[string]Column{
		"id": {Field: fieldKey}, "birthdate": {Field: fieldBirth, Dates: "iso"}, "deathdate": {Field: fieldDied, Dates: "iso"}, "maiden": {}, "county": {}, "birthplace": {},
	}},
	synthea("synthea-conditions", []string{"start", "stop", "patient", "encounter", "code", "description"}, []string{"payer", "id", "encounterclass", "status", "type", "category", "basecost"},
		Fact{Name: "condition", Kind: "condition", State: "active", System: "snomed"}, map[string]Column{"start": {Field: fieldStart, Dates: "iso"}, "stop": {Field: fieldEnd, Dates: "iso"}}),
	synthea("synthea-medications", []string{"start", "patient", "encounter", "code", "description"}, []string{"id", "system", "encounterclass", "category"},
		Fact{Name: "medication", Kind: "medication", State: "active", System: "rxnorm"}, map[string]Column{"start": {Field: fieldStart, Dates: "iso"}, "stop": {Field: fieldEnd, Dates: "iso"}, "status": {Field: fieldStatus}}),
	synthea("synthea-encounters", []string{"id", "start", "stop", "patient", "encounterclass"}, nil,
		Fact{Name: "encounter", Kind: "encounter", State: "completed", System: "snomed"}, map[string]Column{
			"id": {Field: fieldID}, "start": {Field: fieldStart, Dates: "iso"}, "stop": {Field: fieldEnd, Dates: "iso"},
			"encounterclass": {Field: fieldClass, Values: map[string]string{
				"amb": "AMB", "ambulatory": "AMB", "outpatient": "AMB", "wellness": "AMB", "urgentcare": "AMB", "virtual": "VR", "vr": "VR", "home": "HH", "hh": "HH",
				"emergency": "EMER", "emer": "EMER", "inpatient": "IMP", "imp": "IMP", "hospice": "IMP", "snf": "IMP", "*": "",
			}},
		}),
	synthea("synthea-immunizations", []string{"date", "patient", "encounter", "code", "description"}, []string{"value", "start", "category", "type", "reasoncode"},
		Fact{Name: "immunization", Kind: "immunization", State: "completed", System: "cvx"}, map[string]Column{"date": {Field: fieldStart, Dates: "iso"}}),
	synthea("synthea-observations", []string{"date", "patient", "encounter", "code", "value", "units"}, nil,
		Fact{Name: "observation", Kind: "observation", State: "completed", System: "loinc"}, map[string]Column{
			"date": {Field: fieldStart, Dates: "iso"}, "value": {Field: fieldValue}, "units": {Field: fieldUnit}, "type": {}, "category": {},
		}),
	{name: "epic", needs: []string{"ptname", "mrn", "dob"}},
	{name: "athena", needs: []string{"patientid", "patientlastname", "patientfirstname"}, of: map[string]Column{"patientid": {Field: fieldIdentifier, System: SourceSystem, Type: "MR"}}},
	{name: "ecw", needs: []string{"patientacctno", "patientname"}},
}

// synthea is a file of facts that name their person and bring nothing else about it.
func synthea(name string, needs, lacks []string, fact Fact, of map[string]Column) known {
	all := map[string]Column{
		"patient": {Field: fieldKey}, "code": {Field: fieldCode}, "description": {Field: fieldDisplay}, "system": {Field: fieldSystem}, "encounter": {},
	}
	for h, c := range of {
		all[h] = c
	}
	for h, c := range all {
		if c.Field != "" && c.Field != fieldKey {
			c.In = fact.Name
			all[h] = c
		}
	}
	return known{name: name, needs: needs, lacks: lacks, of: all, set: func(m *Mapping) {
		m.Facts = []Fact{fact}
		columns := m.Columns[:0]
		for _, c := range m.Columns {
			if c.In != "" || c.Field == fieldKey {
				columns = append(columns, c)
			} else {
				m.Ignored = append(m.Ignored, c.Header)
			}
		}
		m.Columns = columns
	}}
}

// contacts: a list of a mail program does not say that anybody is a patient.
func contacts(m *Mapping) { m.Kind = "prospect" }

// suppresses keeps the addresses and what is said of them, and makes nobody a person.
func suppresses(covers, reason string) func(m *Mapping) {
	return func(m *Mapping) {
		m.Suppress = &Suppress{Covers: covers, Reason: reason}
		columns := m.Columns[:0]
		for _, c := range m.Columns {
			switch c.Field {
			case fieldEmail, fieldOptOutAt, fieldStop:
				columns = append(columns, c)
			default:
				m.Ignored = append(m.Ignored, c.Header)
			}
		}
		m.Columns, m.Facts, m.Events = columns, nil, nil
	}
}

func (k *known) fits(have map[string]bool) bool {
	for _, h := range k.needs {
		if !have[h] {
			return false
		}
	}
	for _, h := range k.lacks {
		if have[h] {
			return false
		}
	}
	if len(k.only) == 0 {
		return true
	}
	for h := range have {
		found := false
		for _, o := range k.only {
			found = found || o == h
		}
		if !found {
			return false
		}
	}
	return true
}
