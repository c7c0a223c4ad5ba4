import { checkAcross } from "../options/checks/check.ts";
import type { Kind, Objects } from "../options/kind.ts";
import type { ServingCommand } from "../options/option.ts";
import { type Config, type ConfigKey, filePath, keysOf, optionOf } from "../options/options.ts";
import { ConfigError } from "./config-error.ts";
import { describeLayer } from "./layer.ts";
import { type LoadedConfig, optionNames } from "./load.ts";
import { sameValue } from "./same-value.ts";

/** An option that is not as it was, as people are told of it: secrets are hidden. */
interface OptionChange {
	readonly key: ConfigKey;
	/** In the config file, such as "limits.message_rate"; of an object of a list, "channel.namespaces[chat].history_size". */
	readonly path: string;
	readonly from: string;
	readonly to: string;
}

/** What reading all options again comes to. */
export interface ReloadPlan {
	/** The options that hold from now on: those that run, with the changes that can be made. */
	readonly config: Config;
	readonly applied: readonly OptionChange[];
	/** Changed as well, but fixed until a restart. */
	readonly waiting: readonly OptionChange[];
	/** Options of the file without effect, such as "shard.batch (--batch overrides it)". */
	readonly inVain: readonly string[];
}

interface ReloadInput {
	readonly command: ServingCommand;
	/** As settled at the start; the machine may have filled in some since. */
	readonly started: Config;
	readonly running: Config;
	readonly next: LoadedConfig;
}

/**
 * Works out what changes. Pure: nothing is changed by it.
 * @throws ConfigError when the new options do not go together with those that are fixed, or a secret is missing among them.
 */
export function planReload({ command, started, running, next }: ReloadInput): ReloadPlan {
	const changes: Partial<Record<ConfigKey, unknown>> = {};
	const applied: OptionChange[] = [];
	const waiting: OptionChange[] = [];
	for (const key of keysOf(command)) {
		const { live } = optionOf(key);
		const before = live ? running[key] : started[key];
		const after = next.config[key];
		if (sameValue(before, after)) continue;
		for (const change of changesOf(optionOf(key), filePath(key), before, after)) (live ? applied : waiting).push({ key, ...change });
		if (live) changes[key] = after;
	}
	const lost = applied.filter(({ key }) => optionOf(key).secret && next.config[key] === undefined && next.layers[key].kind === "default");
	if (lost.length > 0) throw new ConfigError(lost.map(({ key }) => lostSecret(key)));
	const config = Object.freeze({ ...running, ...(changes as Partial<Config>) });
	const broken = applied.length === 0 ? [] : checkAcross(config, optionNames(next.layers));
	if (broken.length > 0) throw new ConfigError(broken);
	const own = new Set(keysOf(command));
	const inVain = next.overridden.filter((key) => own.has(key));
	return { config, applied, waiting, inVain: inVain.map((key) => `${filePath(key)} (${describeLayer(next.layers[key])} overrides it)`) };
}

/** A file that was cut off must not switch a check off: only an explicit value does. */
function lostSecret(key: ConfigKey): string {
	const path = filePath(key);
	const dot = path.indexOf(".");
	const fix = `write "${path.slice(dot + 1)}: none" in the section "${path.slice(0, dot)}"`;
	return `${path}: is set, and no longer given; put it back or, to do without it, ${fix}`;
}

/** "shard.batch 64 → 128, log.level info → debug" */
export function describeChanges(changes: readonly OptionChange[]): string {
	return changes.map(({ path, from, to }) => `${path} ${from} → ${to}`).join(", ");
}

type ValueChange = Omit<OptionChange, "key">;

/** What is different, of a list of objects each field by itself. */
export function changesOf(kind: Kind<unknown>, path: string, before: unknown, after: unknown): ValueChange[] {
	if (sameValue(before, after)) return [];
	if (kind.objects?.identity === null) return changesOfFields(kind.objects, path, before as Item, after as Item);
	if (kind.objects !== null) return changesOfObjects(kind.objects, path, before as Items, after as Items);
	const [from, to] = [kind.show(before), kind.show(after)];
	return [{ path, from, to: from === to ? "another (hidden)" : to }];
}

type Item = Readonly<Record<string, unknown>>;
type Items = readonly Item[];

function changesOfFields({ fields }: Objects, path: string, before: Item, after: Item): ValueChange[] {
	return Object.entries(fields).flatMap(([property, field]) => changesOf(field, `${path}.${field.key}`, before[property], after[property]));
}

function changesOfObjects(objects: Objects, path: string, before: Items, after: Items): ValueChange[] {
	const byIdentity = (items: Items) => new Map(items.map((item) => [String(item[objects.identity!]), item]));
	const [were, are] = [byIdentity(before), byIdentity(after)];
	const changes: ValueChange[] = [];
	for (const name of new Set([...were.keys(), ...are.keys()])) {
		const [item, next] = [were.get(name), are.get(name)];
		const place = `${path}[${name}]`;
		if (item === undefined || next === undefined) {
			const words = ["absent", "present"] as const;
			changes.push({ path: place, from: words[item === undefined ? 0 : 1], to: words[next === undefined ? 0 : 1] });
		} else changes.push(...changesOfFields(objects, place, item, next));
	}
	const order = (items: ReadonlyMap<string, unknown>) => [...items.keys()].join(", ");
	return changes.length > 0 ? changes : [{ path, from: order(were), to: order(are) }];
}
