// Makes schemas/v*.json: of Kubernetes' own schemas, what the manifests of the chart need, without descriptions. kubeconform would fetch them
// from the internet. They come from the Python package kubernetes-validate (Apache-2.0, as Kubernetes itself):
//
//   pip download --no-deps --dest /tmp/kv kubernetes-validate==1.37.0 && unzip -q /tmp/kv/*.whl -d /tmp/kv
//   node deploy/test/helm/schemas.mjs /tmp/kv
//
// schemas/custom.json is written by hand: of ServiceMonitor, PrometheusRule and HTTPRoute, the fields that the chart uses.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The oldest version that Chart.yaml permits, and the newest of the package. */
const versions = ["v1.30.0", "v1.37.0"];
const kinds = [
	"deployment-apps-v1",
	"service-v1",
	"configmap-v1",
	"serviceaccount-v1",
	"poddisruptionbudget-policy-v1",
	"horizontalpodautoscaler-autoscaling-v2",
	"networkpolicy-networking-v1",
	"ingress-networking-v1",
];

const [, , from] = process.argv;
if (from === undefined) throw new Error("name the folder with the unpacked package kubernetes-validate");

/** Without what has no meaning for a check, and without the status, which no manifest has. */
function bare(schema) {
	if (Array.isArray(schema)) return schema.map(bare);
	if (typeof schema !== "object" || schema === null) return schema;
	const kept = Object.entries(schema).filter(
		([key, value]) => !(key === "description" && typeof value === "string") && !/^(x-|\$id$|\$schema$)/.test(key) && key !== "status",
	);
	return Object.fromEntries(
		kept.map(([key, value]) => [key, key === "$ref" ? value.replace("/api/_definitions.json#", "#") : bare(value)]),
	);
}

for (const version of versions) {
	const read = (name) =>
		JSON.parse(readFileSync(join(from, `kubernetes_validate/kubernetes-json-schema/${version}-local-strict/${name}.json`)));
	const { $defs: all } = read("_definitions");
	const $defs = {};
	const take = (schema) => {
		for (const [, name] of JSON.stringify(schema).matchAll(/"\$ref":"#\/\$defs\/([^"]+)"/g)) {
			if (name in $defs) continue;
			$defs[name] = bare(all[name]);
			take($defs[name]);
		}
	};
	const schemas = Object.fromEntries(kinds.map((kind) => [kind, bare(read(kind))]));
	take(schemas);
	writeFileSync(join(import.meta.dirname, `schemas/${version}.json`), `${JSON.stringify({ kinds: schemas, $defs })}\n`);
}
