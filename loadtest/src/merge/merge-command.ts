import { Command, CommanderError } from "commander";
import { thresholds } from "../option-parsers.ts";
import { UsageError } from "../options.ts";
import { exitStatusOf } from "../report/exit-status.ts";
import { checkOutputs, keepInputs, writeOutputs } from "../report/outputs.ts";
import { renderResult } from "../report/render.ts";
import { judgedAgain } from "../report/result.ts";
import { judge, type Threshold } from "../thresholds/threshold.ts";
import { mergeResults, type NamedResult } from "./merge-results.ts";
import { readResult } from "./read-result.ts";

const filesMax = 100;

interface Flags {
	readonly failIf?: readonly Threshold[];
	readonly json?: string;
	readonly csv?: string;
	readonly html?: string;
}

/** `merge a.json b.json`: one report of load tests that ran at the same time. @returns the exit status, as of a load test. @throws UsageError */
export function mergeCommand(argv: readonly string[]): number {
	let output = "";
	const command = new Command("loadtest merge")
		.description(
			"Puts the results of load tests together that loaded the same servers at the same time (--generator), from their --json files.",
		)
		.argument("<files...>", "what the load tests wrote with --json")
		.option("--fail-if <threshold>", "as for a load test, over all of them; may be repeated", thresholds)
		.option("--json <file>", "write the merged result there as JSON")
		.option("--csv <file>", "write a line for each second there")
		.option("--html <file>", "write a report with charts there, as one page that needs no network")
		.exitOverride()
		.configureOutput({ writeOut: (text) => (output += text), writeErr: (text) => (output += text) });
	try {
		command.parse([...argv], { from: "user" });
	} catch (error) {
		if (!(error instanceof CommanderError)) throw error;
		throw new UsageError((output || error.message).trim(), error.exitCode === 0 ? 0 : 2);
	}
	const { failIf = [], json, csv, html } = command.opts<Flags>();
	const paths = { jsonPath: json ?? null, csvPath: csv ?? null, htmlPath: html ?? null };
	const result = mergeOf(command.args, failIf);
	keepInputs(paths, command.args);
	checkOutputs(paths);
	result.thresholds = failIf.map((threshold) => judge(threshold, result));
	console.log(renderResult(result));
	writeOutputs(result, paths);
	return exitStatusOf(result);
}

function mergeOf(files: readonly string[], thresholds: readonly Threshold[]) {
	if (files.length > filesMax) throw new UsageError(`error: ${files.length} files; ${filesMax} are the most`);
	const twice = files.find((file, index) => files.indexOf(file) < index);
	if (twice !== undefined) throw new UsageError(`error: ${twice} is named twice; each result counts once`);
	const parts = files.map((file): NamedResult => {
		try {
			return { file, result: judgedAgain(readResult(file), thresholds) };
		} catch (error) {
			throw new UsageError(`error: ${file} ${(error as Error).message}`);
		}
	});
	try {
		return mergeResults(parts);
	} catch (error) {
		throw new UsageError(`error: ${(error as Error).message}`);
	}
}
