module kinky.dev/web

go 1.24
