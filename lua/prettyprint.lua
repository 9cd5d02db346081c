return require("utils.prettyprint")
