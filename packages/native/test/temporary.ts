import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";

/** A fresh directory for each test, removed afterwards. */
export function useTemporaryDirectory(): { readonly path: string; file(name: string): string } {
	let path = "";
	beforeEach(() => {
		path = mkdtempSync(join(tmpdir(), "shardcast-native-"));
	});
	afterEach(() => rmSync(path, { recursive: true, force: true }));
	return {
		get path() {
			return path;
		},
		file: (name) => join(path, name),
	};
}
