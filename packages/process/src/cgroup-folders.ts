import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

interface Hierarchy {
	/** Mount point, and path of this process's group in it. */
	readonly mount: string;
	readonly group: string;
}

/** The folders of this process's control group and of its parents, innermost first, whose limits apply as well. */
export class CgroupFolders {
	readonly #root: string;
	readonly #groups: ReadonlyMap<string, string>;
	/** In version 2; empty = it is not used. */
	readonly v2: readonly string[];

	/** @param root replaces "/" in tests. */
	constructor(root: string) {
		this.#root = root;
		this.#groups = groupsOfSelf(root);
		const unified = this.#groups.get("");
		this.v2 = unified === undefined ? [] : chain(hierarchy(root, ["", "unified"], unified, "cgroup.controllers"));
	}

	/** In version 1. @param mounts where the controller may be mounted. @param file that its folder has. */
	v1(controller: string, mounts: readonly string[], file: string): readonly string[] {
		const group = this.#groups.get(controller);
		return group === undefined ? [] : chain(hierarchy(this.#root, mounts, group, file));
	}
}

/** Paths by controller from /proc/self/cgroup, with lines `id:controllers:path`. Version 2 has no controllers, so its key is "". */
function groupsOfSelf(root: string): Map<string, string> {
	const groups = new Map<string, string>();
	for (const line of (readText(join(root, "proc/self/cgroup")) ?? "").split("\n")) {
		const match = /^\d+:([^:]*):(.*)$/.exec(line);
		if (match === null) continue;
		for (const controller of match[1].split(",")) groups.set(controller, match[2]);
	}
	return groups;
}

function hierarchy(root: string, mounts: readonly string[], group: string, marker: string): Hierarchy | null {
	for (const name of mounts) {
		const mount = join(root, "sys/fs/cgroup", name);
		// In version 1 a root group has no quota file, so its folder is enough.
		if (existsSync(join(mount, marker)) || (name !== "" && existsSync(mount))) return { mount, group };
	}
	return null;
}

/** Folders of the group and of its parents, innermost first. */
function chain(found: Hierarchy | null): string[] {
	if (found === null) return [];
	const folders: string[] = [];
	// "/../x" means a group that this container cannot see.
	for (let group = join("/", found.group); ; group = dirname(group)) {
		folders.push(join(found.mount, group));
		if (group === "/") return folders;
	}
}

/** Undefined if the file does not exist, which depends on the kernel and the container. */
export function readText(path: string): string | undefined {
	try {
		return readFileSync(path, "utf8");
	} catch {
		return undefined;
	}
}
