import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { formatBytes } from "../../units/bytes.ts";

/** Far above any sane config file; /dev/zero gives an error instead of using up memory. */
const fileBytesMax = 262_144;

export interface FileToRead {
	readonly path: string;
	/** The option that named the file, for the message when it can't be read. */
	readonly namedBy: string;
	/** It has been read before: see `readFileText`. */
	readonly again: boolean;
}

/** The text of a file, or in one line why there is none. */
type FileText = { readonly text: string } | { readonly problem: string };

/**
 * Reads a config file, which may be a pipe, `--config <(…)`. A pipe has been read to its end by then: a second look at it would find no
 * options at all, and take that for defaults. So only a regular file can be read again.
 */
export function readFileText({ path, namedBy, again }: FileToRead): FileText {
	let file: number | null = null;
	try {
		// A pipe without a writer must not block a process that is serving.
		file = openSync(path, again ? constants.O_RDONLY | constants.O_NONBLOCK : constants.O_RDONLY);
		if (again && !fstatSync(file).isFile())
			return { problem: `${path}: is not a regular file, so it can't be read again; write the options to one and restart` };
		const text = readBounded(file);
		return text === null ? { problem: `${namedBy}: ${path} is longer than ${formatBytes(fileBytesMax)}; name a config file` } : { text };
	} catch (error) {
		return { problem: `${namedBy}: the config file ${path} ${whyNot(error)}; name another or leave it out` };
	} finally {
		if (file !== null) closeSync(file);
	}
}

function whyNot(error: unknown): string {
	const { code, message } = error as NodeJS.ErrnoException;
	if (code === "ENOENT") return "does not exist";
	return code === "EACCES" ? "may not be read" : `can't be read (${code ?? message})`;
}

/** Null = longer than any config file. */
function readBounded(file: number): string | null {
	const buffer = Buffer.alloc(fileBytesMax + 1);
	let length = 0;
	for (;;) {
		const read = readSync(file, buffer, length, buffer.length - length, null);
		length += read;
		if (length > fileBytesMax) return null;
		if (read === 0) return buffer.toString("utf8", 0, length);
	}
}
