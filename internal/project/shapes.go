package project

// shape says how the bindings of one key of the configuration become those of
// an upload. It covers every kind that wrangler knows: a kind that the platform
// does not offer is refused there, by name, and never dropped here.
type shape struct {
	key  string // in the configuration
	kind string // the type in the upload
	// inside is the list's name when the key holds an object with the list in it.
	inside string
	// single says that the key holds one binding instead of a list.
	single bool
	// named says that the binding's name is in "name", not in "binding".
	named  bool
	fields []field
	// local are fields that matter only to local development.
	local []string
	// onTrigger are fields that the deploy sends elsewhere.
	onTrigger []string
}

// field is one property of a binding.
type field struct {
	from, to string // in the configuration, in the upload
	required bool
	// provisioned fields may be missing: the deploy makes what they would name.
	provisioned bool
}

func must(name string) field   { return field{from: name, to: name, required: true} }
func may(name string) field    { return field{from: name, to: name} }
func as(from, to string) field { return field{from: from, to: to, required: true} }
func made(from, to string) field {
	return field{from: from, to: to, provisioned: true}
}

func shapes() []shape {
	return []shape{
		{key: "kv_namespaces", kind: "kv_namespace", fields: []field{made("id", "namespace_id")}, local: []string{"preview_id"}},
		{key: "send_email", kind: "send_email", named: true, fields: []field{may("allowed_sender_addresses"), may("destination_address"), may("allowed_destination_addresses")}},
		{key: "durable_objects", kind: "durable_object_namespace", inside: "bindings", named: true, fields: []field{must("class_name"), may("script_name"), may("environment")}},
		{key: "workflows", kind: "workflow", fields: []field{as("name", "workflow_name"), must("class_name"), may("script_name")}, onTrigger: []string{"limits", "concurrency", "schedules", "default_retention", "jurisdiction"}},
		{key: "queues", kind: "queue", inside: "producers", fields: []field{made("queue", "queue_name"), may("delivery_delay")}},
		{key: "r2_buckets", kind: "r2_bucket", fields: []field{made("bucket_name", "bucket_name"), may("jurisdiction")}, local: []string{"preview_bucket_name"}},
		{key: "d1_databases", kind: "d1", fields: []field{made("database_id", "id")}, local: []string{"database_name", "preview_database_id", "migrations_dir", "migrations_table", "migrations_pattern"}},
		{key: "vectorize", kind: "vectorize", fields: []field{must("index_name")}},
		{key: "ai_search_namespaces", kind: "ai_search_namespace", fields: []field{must("namespace")}},
		{key: "ai_search", kind: "ai_search", fields: []field{must("instance_name")}},
		{key: "agent_memory", kind: "agent_memory", fields: []field{must("namespace")}},
		{key: "hyperdrive", kind: "hyperdrive", fields: []field{must("id")}, local: []string{"localConnectionString"}},
		{key: "services", kind: "service", fields: []field{must("service"), may("environment"), may("entrypoint"), may("props"), may("cross_account_grant")}},
		{key: "analytics_engine_datasets", kind: "analytics_engine", fields: []field{may("dataset")}},
		{key: "dispatch_namespaces", kind: "dispatch_namespace", fields: []field{must("namespace"), may("outbound")}},
		{key: "mtls_certificates", kind: "mtls_certificate", fields: []field{must("certificate_id")}},
		{key: "pipelines", kind: "pipelines", fields: []field{may("stream"), may("pipeline")}},
		{key: "k2", kind: "k2", fields: []field{must("stream")}},
		{key: "secrets_store_secrets", kind: "secrets_store_secret", fields: []field{must("store_id"), must("secret_name")}},
		{key: "artifacts", kind: "artifacts", fields: []field{must("namespace")}},
		{key: "unsafe_hello_world", kind: "unsafe_hello_world", fields: []field{may("enable_timer")}},
		{key: "flagship", kind: "flagship", fields: []field{must("app_id")}},
		{key: "worker_loaders", kind: "worker_loader"},
		{key: "ratelimits", kind: "ratelimit", named: true, fields: []field{must("namespace_id"), must("simple")}},
		{key: "vpc_services", kind: "vpc_service", fields: []field{must("service_id")}},
		{key: "vpc_networks", kind: "vpc_network", fields: []field{may("tunnel_id"), may("network_id")}},
		{key: "logfwdr", kind: "logfwdr", inside: "bindings", named: true, fields: []field{must("destination")}},
		{key: "browser", kind: "browser", single: true},
		{key: "analytics", kind: "analytics", single: true},
		{key: "ai", kind: "ai", single: true, fields: []field{may("staging")}},
		{key: "images", kind: "images", single: true},
		{key: "stream", kind: "stream", single: true},
		{key: "media", kind: "media", single: true},
		{key: "version_metadata", kind: "version_metadata", single: true},
		{key: "unsafe", inside: "bindings", named: true}, // its bindings bring their type and fields
	}
}
