import { createRequire } from "node:module";
import { OutputClosed, print, StartupError } from "@shardcast/process";
import type { Command } from "commander";
import { type Config, type ConfigKey, environmentName, filePath, optionOf, sections } from "../options/options.ts";
import { ConfigError } from "./config-error.ts";
import type { FoundValue } from "./layer.ts";
import { type ConfigInput, type LoadedConfig, loadConfig } from "./load.ts";

/** Loaded only by a process that has a command line: shards and a balancer, which import this file as well, get their options otherwise. */
const commander = (): typeof import("commander") => createRequire(import.meta.url)("commander");

/** A flag that is no option: it belongs to one command only. */
interface CommandFlag {
	readonly name: string;
	readonly argument?: string;
	readonly help: string;
}

/** A value without a flag, which means the same as an option. */
interface CommandArgument {
	/** As in `<ws_port>`. */
	readonly name: string;
	readonly option: ConfigKey;
	readonly help: string;
	/** Takes all further ones; only the last may. */
	readonly isRest?: boolean;
	/** As the option spells it; absent = the same. */
	readonly spell?: (text: string) => string;
}

/** A word of one command that is no option, such as the user in `kick <user>`. */
interface CommandWord {
	/** As in `<user>`; the value is in `own` under this name. */
	readonly name: string;
	readonly help: string;
	readonly isRequired: boolean;
}

export interface CommandInput {
	readonly loaded: LoadedConfig;
	/** What they were loaded from, to be loaded again. */
	readonly input: ConfigInput;
	/** The command's own flags, by name without dashes, and words; those not given are missing. */
	readonly own: Readonly<Record<string, string | true>>;
}

export type CommandOutcome = number | "serving";

export interface CommandSpec {
	/** "multi" or, for a command of a group, "config print". */
	readonly name: string;
	readonly summary: string;
	/** A command line for a shell, at the end of the help. */
	readonly example: string;
	/** The options that it takes as flags. */
	readonly options: readonly ConfigKey[];
	readonly ownFlags?: readonly CommandFlag[];
	/** Secrets that it takes from the environment and the file alone, since `ps` shows flags. */
	readonly hiddenOptions?: readonly ConfigKey[];
	/** What options are that are not given, where it is not the same for all commands. */
	readonly defaults?: Partial<Config>;
	/** In order. None is required, since the option may come from elsewhere. */
	readonly arguments?: readonly CommandArgument[];
	/** In order. A command has `arguments` or `words`. */
	readonly words?: readonly CommandWord[];
	/** It works on a running server, so it also runs if options that it does not take are wrong: a broken file must not keep people from it. */
	readonly ignoresOtherOptions?: boolean;
	/** Resolves with the exit status, or "serving" when the process goes on and leaves by itself. */
	run(input: CommandInput): Promise<CommandOutcome>;
}

export interface CommandLineSpec {
	readonly name: string;
	readonly description: string;
	readonly version: string;
	readonly commands: readonly CommandSpec[];
	/** One line each for groups of commands, by their first word. */
	readonly groups: Readonly<Record<string, string>>;
}

const optionsNote = `
Each option is also an environment variable (--shutdown-timeout: SHARDCAST_SHUTDOWN_TIMEOUT) and a key in the config file, in the
section that its heading here names; \`shardcast config print\` shows all. Flags override the environment, which overrides the file.`;

/**
 * Parses `argv` (without node and script), resolves the options and runs the command. Whatever is wrong with the command line or
 * an option is told in one line each on stderr.
 * @returns what the command says; 2 for wrong options.
 */
export async function runCommandLine(
	spec: CommandLineSpec,
	argv: readonly string[],
	environment: NodeJS.ProcessEnv,
): Promise<CommandOutcome> {
	let outcome: CommandOutcome = 2;
	const program = new (commander().Command)(spec.name).description(spec.description).version(spec.version);
	let help = "";
	/** Whose help tells more about a wrong command line. */
	let wrong = spec.name;
	// Commander's own error output takes two lines; `complain` writes it in one.
	program
		.exitOverride()
		.configureOutput({
			outputError: () => {},
			writeOut: (text) => {
				help += text;
			},
		})
		.configureHelp({ showGlobalOptions: false });
	const groups = new Map<string, Command>();
	const remembers = (name: string, target: Command): Command =>
		target.exitOverride((error) => {
			wrong = `${spec.name} ${name}`;
			throw error;
		});
	for (const [name, summary] of Object.entries(spec.groups)) groups.set(name, remembers(name, program.command(name).description(summary)));

	// The flags of all commands would take a tenth of the time until one runs. Without a command, the help needs to know which have some.
	const first = spec.commands.some(({ name }) => firstWord(name) === argv[0]) ? argv[0] : null;
	for (const command of spec.commands) {
		const words = command.name.split(" ");
		const parent = groups.get(words[0]) ?? program;
		const target = remembers(command.name, parent.command(words[words.length - 1]).description(command.summary));
		if (first === null || first === words[0]) addFlags(target, command);
		target.addHelpText("after", `\nExample:\n  ${command.example}`);
		for (const { name, help: text, isRest = false } of command.arguments ?? [])
			target.argument(isRest ? `[${name}...]` : `[${name}]`, text);
		for (const { name, help: text, isRequired } of command.words ?? []) target.argument(isRequired ? `<${name}>` : `[${name}]`, text);
		target.action(async () => {
			const given = target.opts<Record<string, string | boolean | undefined>>();
			const flags = flagsOf(command, given);
			addArguments(flags, command, target.processedArgs);
			const input = { flags, file: given.config as string | undefined, environment, defaults: command.defaults ?? {} };
			const own = { ...ownFlagsOf(command, given), ...wordsOf(command, target.processedArgs) };
			outcome = await command.run({ loaded: loadFor(spec.name, command, input), input, own });
		});
	}
	try {
		await program.parseAsync([...argv], { from: "user" });
	} catch (error) {
		const command = spec.commands.find(({ name }) => `${spec.name} ${name}` === wrong);
		if (help === "") return reportError(spec.name, hiddenOption(command, error) ?? error, wrong);
	}
	if (help === "") return outcome;
	return print(help).then(
		() => 0,
		(error: unknown) => reportError(spec.name, error),
	);
}

function firstWord(name: string): string {
	return name.split(" ")[0];
}

/** @throws ConfigError when options are wrong that the command uses. */
function loadFor(name: string, { options, ignoresOtherOptions = false }: CommandSpec, input: ConfigInput): LoadedConfig {
	try {
		return loadConfig(input);
	} catch (error) {
		if (!ignoresOtherOptions || !(error instanceof ConfigError)) throw error;
		const variables = options.map(environmentName).map((variable) => [variable, input.environment?.[variable]] as const);
		const loaded = loadConfig({ flags: input.flags ?? new Map(), environment: Object.fromEntries(variables) });
		process.stderr.write(`${name}: left out options that are wrong: ${error.lines.join("; ")}\n`);
		return loaded;
	}
}

/** What to say of a flag that the command takes only from elsewhere; null = this is another error. */
function hiddenOption(command: CommandSpec | undefined, error: unknown): StartupError | null {
	const flag = /unknown option '--([a-z-]+)/.exec((error as Error).message)?.[1];
	const key = command?.hiddenOptions?.find((each) => optionOf(each).flag === flag);
	if (key === undefined) return null;
	const where = `set ${environmentName(key)} in the environment, or ${filePath(key)} in the config file`;
	return new StartupError(`--${flag}: this command takes no secret as a flag, since ps would show it; ${where}`, { exitStatus: 2 });
}

function wordsOf({ words = [] }: CommandSpec, given: readonly unknown[]): Record<string, string> {
	return Object.fromEntries(words.flatMap(({ name }, index) => (typeof given[index] === "string" ? [[name, given[index]]] : [])));
}

/** Writes what kept a command from running. Errors that nobody foresaw are thrown on. @param command whose help to name for a wrong command line. */
export function reportError(name: string, error: unknown, command = name): number {
	if (error instanceof OutputClosed) return error.exitStatus;
	if (error instanceof StartupError) {
		for (const line of error.message.split("\n")) process.stderr.write(`${name}: ${line}\n`);
		return error.exitStatus;
	}
	if (error instanceof commander().CommanderError) {
		if (error.exitCode === 0) return 0;
		// Help that was not asked for has been written already.
		if (error.code !== "commander.help")
			process.stderr.write(
				`${name}: ${error.message
					.replace(/^error: /, "")
					.replace(/\.$/, "")
					.replaceAll("\n", " ")}; see ${command} --help\n`,
			);
		return 2;
	}
	throw error;
}

function addFlags(target: Command, command: CommandSpec): void {
	for (const own of command.ownFlags ?? [])
		target.option(own.argument === undefined ? `--${own.name}` : `--${own.name} ${own.argument}`, own.help);
	if (command.options.length === 0) return;
	const { Option: Flag } = commander();
	target.option("--config <file>", "Config file, in YAML or JSON (environment: SHARDCAST_CONFIG).");
	for (const [title, { options }] of Object.entries(sections)) {
		for (const key of Object.keys(options) as ConfigKey[]) {
			if (!command.options.includes(key)) continue;
			const { flag, argument, help } = optionOf(key);
			target.addOption(
				new Flag(argument === null ? `--${flag}` : `--${flag} ${argument}`, `${help}${defaultNote(key, command)}`).helpGroup(`${title}:`),
			);
			// So that a flag can take back what the environment or the file says.
			if (argument === null) target.addOption(new Flag(`--no-${flag}`).hideHelp());
		}
	}
	target.addHelpText("after", optionsNote);
}

/** Nothing where the help says already what none means. */
function defaultNote(key: ConfigKey, { defaults }: CommandSpec): string {
	const { show, default: usual } = optionOf(key);
	const value = defaults?.[key] ?? usual;
	return value === undefined || value === "" || (Array.isArray(value) && value.length === 0) ? "" : ` (default: ${show(value)})`;
}

function flagsOf(command: CommandSpec, given: Record<string, string | boolean | undefined>): Map<ConfigKey, FoundValue> {
	const found = new Map<ConfigKey, FoundValue>();
	for (const key of command.options) {
		const { flag } = optionOf(key);
		const raw = given[camelCase(flag)];
		if (raw !== undefined) found.set(key, { raw, layer: { kind: "flag", name: `--${flag}` } });
	}
	return found;
}

/** @throws ConfigError when an option is given both ways. */
function addArguments(
	flags: Map<ConfigKey, FoundValue>,
	{ arguments: known = [] }: CommandSpec,
	given: readonly (string | readonly string[] | undefined)[],
): void {
	for (const [index, { name, option, spell = String }] of known.entries()) {
		const values = [given[index] ?? []].flat();
		if (values.length === 0) continue;
		const { flag } = optionOf(option);
		if (flags.has(option)) throw new ConfigError([`<${name}>: means the same as --${flag}; give one of the two`]);
		flags.set(option, { raw: values.map(spell).join(","), layer: { kind: "flag", name: `<${name}>` } });
	}
}

function ownFlagsOf(command: CommandSpec, given: Record<string, string | boolean | undefined>): Record<string, string | true> {
	const own: Record<string, string | true> = {};
	for (const { name } of command.ownFlags ?? []) {
		const value = given[camelCase(name)];
		if (value !== undefined && value !== false) own[name] = value;
	}
	return own;
}

/** Commander stores flags under their names in camelCase. */
function camelCase(flag: string): string {
	return flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}
