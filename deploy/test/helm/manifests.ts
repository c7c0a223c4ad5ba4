import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";

export const chart = join(import.meta.dirname, "../../helm/shardcast");
export const valuesFolder = join(import.meta.dirname, "values");
export const renderedFolder = join(import.meta.dirname, "rendered");
/** Each set of values, and the release and namespace with which its manifests were rendered. */
export const valueSets = readdirSync(valuesFolder).map((name) => name.replace(".yaml", ""));

export interface Values {
	readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
	readonly [name: string]: unknown;
}

// biome-ignore lint/suspicious/noExplicitAny: manifests of all kinds; kubeconform checks what they are.
type Manifest = any;

export function parseManifests(text: string): Manifest[] {
	return parseAllDocuments(text, { merge: false }).flatMap((document) => {
		if (document.errors.length > 0) throw document.errors[0];
		return document.toJS() ?? [];
	});
}

export const chartFile = (name: string): string => readFileSync(join(chart, name), "utf8");
export const readValues = (set: string): Values => parse(readFileSync(join(valuesFolder, `${set}.yaml`), "utf8")) as Values;

/** What `helm template` makes of a set of values, from the committed files; helm.process.test.ts compares these with helm's own. */
export class Rendered {
	readonly set: string;
	readonly manifests: readonly Manifest[];

	constructor(set: string) {
		this.set = set;
		this.manifests = parseManifests(readFileSync(join(renderedFolder, `${set}.yaml`), "utf8"));
	}

	all(kind: string): Manifest[] {
		return this.manifests.filter((manifest) => manifest.kind === kind);
	}

	one(kind: string): Manifest {
		const found = this.all(kind);
		if (found.length !== 1) throw new Error(`${this.set} has ${found.length} manifests of kind ${kind}`);
		return found[0];
	}

	get pod(): Manifest {
		return this.one("Deployment").spec.template.spec;
	}

	get container(): Manifest {
		return this.pod.containers[0];
	}

	get configFile(): string {
		return this.one("ConfigMap").data["shardcast.yaml"];
	}
}
