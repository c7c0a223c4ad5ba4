// Writes the generated parts of the documentation: `node docs/generate.mjs write`; with `check` it only lists those that are stale.
// A part lies in any page below docs/ between `<!-- generated: name -->` and `<!-- /generated -->`.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { channelFields, environmentName, filePath, optionOf, proxyFields, sections } from "@shardcast/config";
import { metricsReference } from "@shardcast/control";
import { describedMethods, fieldsOf } from "@shardcast/http";
import { CloseCode, closeReasons } from "@shardcast/wire";
import { commandLine } from "../apps/supervisor/dist/cli.js";

const docs = import.meta.dirname;

function table(head, rows) {
	const line = (cells) => `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`;
	return [line(head), line(head.map(() => "---")), ...rows.map(line), ""].join("\n");
}

/** Every option with its four names, from the table that the command line itself is made of. */
function options() {
	return Object.entries(sections)
		.map(([name, { about, options }]) => {
			const rows = Object.keys(options).map((key) => {
				const option = optionOf(key);
				const flag = option.argument === null ? `--${option.flag}` : `--${option.flag} ${option.argument}`;
				const shown = option.show(option.default);
				const only = option.commands.length === 1 ? ` (\`${option.commands[0]}\` only)` : "";
				return [
					`\`${flag}\``,
					`\`${filePath(key)}\``,
					[environmentName(key), option.variable]
						.filter((name) => name !== null)
						.map((name) => `\`${name}\``)
						.join(" "),
					shown === "" ? "" : `\`${shown}\``,
					option.live ? "live" : "restart",
					option.help + only,
				];
			});
			return `## ${name}\n\n${about}\n\n${table(["flag", "file", "environment", "default", "change", "what it does"], rows)}`;
		})
		.join("\n");
}

/** What a namespace may say, with its key in the file. */
const channelOptions = () => fieldsTable(channelFields);

/** How a backend is asked, the tables within it included. */
function proxyOptions() {
	const flat = (fields, prefix) =>
		Object.entries(fields).flatMap(([name, field]) =>
			field.objects?.identity === null
				? flat(field.objects.fields, `${prefix}${field.key}.`)
				: [[`${prefix}${name}`, { ...field, key: `${prefix}${field.key}` }]],
		);
	return fieldsTable(Object.fromEntries(flat(proxyFields, "")));
}

function fieldsTable(fields) {
	const rows = Object.values(fields).map(({ key, default: value, show, help }) => [
		`\`${key}\``,
		value === "" ? "" : `\`${show(value)}\``,
		help,
	]);
	return table(["option", "default", "meaning"], rows);
}

/** When each close code is sent; a code without a line here stops the generator. */
const closeMeanings = {
	goingAway: "The server stops or is updated. Reconnect after a short random pause.",
	policyViolation: "The client sent more messages per second than `--message-rate` allows.",
	invalidMessage: "The client sent a message that its channels do not take (`publication_data_format` of their namespace).",
	messageTooBig: "A frame was longer than `--max-payload`, or than `max_publication_size` of its channels' namespace.",
	internalError: "The server failed while it handled this client. Its log says why; `shardcast_callback_errors_total` counts it.",
	connectAgain:
		"Other nodes, or other shards of this node, have room (a rebalance). Reconnect after a short random pause, through the load balancer or `/cluster/select`.",
	tryAgainLater: "The bus stayed full for longer than the server could hold this client's message, or too many consoles are open.",
	receiveOnly:
		"The client sent a message that it may not publish: the permissions of its channels do not allow it, or clients may only receive. Reconnecting and sending again gets the same result.",
	slow: "The client reads too slowly: more than `--max-buffered` bytes were waiting for it.",
};

function closeCodes() {
	const rows = Object.entries(CloseCode).map(([name, code]) => {
		if (closeMeanings[name] === undefined) throw new Error(`docs/generate.mjs: say what close code ${code} (${name}) means`);
		return [code, `\`${closeReasons[code]}\``, closeMeanings[name]];
	});
	return table(["code", "reason", "when"], rows);
}

/** Each method of the server API, from the schemas that /api/openapi.json is made of. */
function serverApi() {
	const typeOf = ({ type, anyOf }) => type ?? (anyOf === undefined ? "any" : "object");
	const meaning = ({ description = "", properties }) =>
		properties === undefined ? description : `${description} Fields: ${Object.keys(properties).join(", ")}.`;
	const rows = (schema) =>
		fieldsOf(schema).map(({ name, schema: field, required }) => [
			`\`${name}\``,
			typeOf(field),
			required ? "yes" : "",
			meaning(field).trim(),
		]);
	return Object.entries(describedMethods)
		.map(([name, { summary, request, result }]) => {
			const fields = rows(request);
			const taken = fields.length === 0 ? "It takes no fields.\n" : table(["field", "type", "required", "meaning"], fields);
			const names = fieldsOf(result).map((field) => `\`${field.name}\``);
			const answer = names.length === 0 ? "The result is empty." : `The result has ${names.join(", ")}.`;
			return `### ${name}\n\n${summary}\n\n${taken}\n${answer}\n`;
		})
		.join("\n");
}

/** Each command, from the table that the program's own help is made of. The many options of a server are only counted: they have a separate page. */
function commands() {
	const placeholder = ({ name, isRest = false, isRequired = false }) => (isRest ? `[${name}...]` : isRequired ? `<${name}>` : `[${name}]`);
	return commandLine.commands
		.map((command) => {
			const { name, summary, example, options, ownFlags = [], words = [], arguments: positional = [] } = command;
			const isLive = liveCommands.includes(command);
			const places = [...words, ...positional];
			const usage = ["shardcast", name, ...(ownFlags.length + options.length === 0 ? [] : ["[options]"]), ...places.map(placeholder)];
			const rows = [
				...places.map((place) => [`\`${placeholder(place)}\``, place.help]),
				...ownFlags.filter((flag) => !isLive || !isShared(flag)).map(ownRow),
				...(isLive || options.length > optionsMax ? [] : options.map(flagRow)),
			];
			const taken = rows.length === 0 ? "" : `\n${table(["argument", "what it does"], rows)}`;
			const shared = isLive ? "\nIt also has [the flags of all commands for a running cluster](#flags-for-a-running-cluster).\n" : "";
			const more = options.length > optionsMax ? `\nIt takes ${options.length} [options of the configuration](configuration.md).\n` : "";
			return `### ${name}\n\n${summary}\n\n\`\`\`text\n${usage.join(" ")}\n\`\`\`\n${taken}${shared}${more}\nExample: \`${example}\`\n`;
		})
		.join("\n");
}

/** More options than these are those of a server. */
const optionsMax = 5;

/** Those that talk to a running cluster: they share some flags. */
const liveCommands = commandLine.commands.filter(({ ignoresOtherOptions = false }) => ignoresOtherOptions);
const isShared = ({ name }) => liveCommands.every(({ ownFlags }) => ownFlags.some((flag) => flag.name === name));

const sharedFlags = () =>
	table(["argument", "what it does"], [...liveCommands[0].ownFlags.filter(isShared).map(ownRow), ...liveCommands[0].options.map(flagRow)]);

const ownRow = ({ name, argument, help }) => [`\`--${name}${argument === undefined ? "" : ` ${argument}`}\``, help];

function flagRow(key) {
	const { flag, argument, help } = optionOf(key);
	return [`\`--${flag}${argument === null ? "" : ` ${argument}`}\``, help];
}

/** Measured by docs/capacity.mjs, which leaves its numbers in capacity.json. */
function capacity() {
	const { machine, rows } = JSON.parse(readFileSync(join(docs, "capacity.json"), "utf8"));
	const number = (value) => value.toLocaleString("en");
	return `${machine}\n\n${table(
		["clients", "messages/s", "deliveries/s", "p50 ms", "p99 ms", "CPU µs per delivery", "cores in use", "memory MB (Pss)", "verdict"],
		rows.map((row) => [
			number(row.connections),
			number(row.rate),
			number(row.deliveriesPerSecond),
			row.p50Ms,
			row.p99Ms,
			row.cpuUsPerDelivery,
			row.cores,
			row.memoryMb,
			row.verdict,
		]),
	)}`;
}

const parts = {
	options,
	commands,
	"shared flags": sharedFlags,
	"channel options": channelOptions,
	"proxy options": proxyOptions,
	metrics: metricsReference,
	"close codes": closeCodes,
	"server api": serverApi,
	capacity,
};

async function regenerated(name, page) {
	let result = page;
	for (const [whole, begin, part, end] of page.matchAll(/(<!-- generated: ([\w ]+) -->\n)[\s\S]*?(<!-- \/generated -->)/g)) {
		if (parts[part] === undefined) throw new Error(`${name}: there is no generated part "${part}"`);
		const text = `${begin}\n${await parts[part]()}\n${end}`;
		result = result.replace(whole, () => text);
	}
	return result;
}

const usage = "usage: node docs/generate.mjs write|check";
const [mode, ...more] = process.argv.slice(2);
if ([mode, ...more].includes("--help")) {
	console.log(usage);
	process.exit(0);
}
if ((mode !== "write" && mode !== "check") || more.length > 0) {
	console.error(`docs: unexpected "${process.argv.slice(2).join(" ")}"\n${usage}`);
	process.exit(2);
}
let stale = 0;
for (const name of readdirSync(docs, { recursive: true }).filter((file) => file.endsWith(".md"))) {
	const path = join(docs, name);
	const before = readFileSync(path, "utf8");
	const after = await regenerated(name, before);
	if (after === before) continue;
	stale++;
	if (mode === "write") writeFileSync(path, after);
	console.log(mode === "write" ? `wrote docs/${name}` : `docs/${name} is stale; npm run docs:config and docs:metrics write it`);
}
process.exit(mode === "check" && stale > 0 ? 1 : 0);
