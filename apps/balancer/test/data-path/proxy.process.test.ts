import { dataPathContract } from "../support/data-path-contract.ts";

dataPathContract("proxy");
