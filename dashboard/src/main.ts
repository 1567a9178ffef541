import { mount } from "svelte";
import App from "./App.svelte";
import "./style.css";
import { looks } from "./lib/looks.svelte";
import { followLinks } from "./lib/router.svelte";

looks.show();
followLinks();
mount(App, { target: document.getElementById("app") as HTMLElement });
