package infer

import "github.com/selvage-dev/selvage/internal/infer/crew"

// team is a worker and those that help it with one batch.
type team = crew.Crew[*scratch]
